"""Prompts: every declaration with every profile, and lm-eval's own requests, text for text."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.items import load_benchmark, load_declaration
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.evaluation.divisions import divided
from jp_adapt.evaluation.prompts import build_prompts

PAIRS = [(name, profile) for name in shipped_benchmarks() for profile in load_declaration(name)[0].protocols]


@pytest.mark.parametrize(("name", "profile"), PAIRS, ids=lambda value: value)
def test_every_declaration_asks_under_every_profile(benchmark_data: Path, name: str, profile: str) -> None:
    loaded = load_benchmark(name, benchmark_data)
    protocol, prompts = build_prompts(loaded, profile)
    assert len(prompts) == len(divided(loaded.items, loaded.shots, protocol.division)[0]) > 0
    kind = protocol.kind or loaded.benchmark.kind
    for prompt in prompts:
        if kind in ("multiple_choice", "acceptability"):
            assert len(prompt.choices) == len(set(prompt.choices)) >= 2
            assert prompt.item.answer is not None
        elif kind != "judge":
            assert prompt.answers
        assert "{{" not in prompt.text
        assert "{%" not in prompt.text
    for variant in protocol.variants:
        _, others = build_prompts(loaded, profile, variant=variant)
        assert [other.item.id for other in others] == [prompt.item.id for prompt in prompts]
        assert others[0].text != prompts[0].text


@pytest.mark.parametrize("name", ["ja/jmmlu", "ja/wmt20-en-ja"])
def test_no_item_is_among_its_own_examples(benchmark_data: Path, name: str) -> None:
    loaded = load_benchmark(name, benchmark_data)
    protocol, prompts = build_prompts(loaded, "jp-adapt")
    assert protocol.shots >= 4
    for prompt in prompts:
        question = str(prompt.item.fields.get("original", prompt.item.fields.get("question"))).strip()
        assert prompt.text.count(question) == 1


def test_examples_of_jmmlu_are_of_the_items_subject(benchmark_data: Path) -> None:
    loaded = load_benchmark("ja/jmmlu", benchmark_data)
    _, prompts = build_prompts(loaded, "jp-adapt", limit=6)
    assert [prompt.item.group for prompt in prompts] == ["anatomy"] * 3 + ["world_history"] * 3, "a limit takes the same number of every subject"


@pytest.mark.parametrize(("name", "profile"), [("ja/jnli", "jp-adapt"), ("ja/jnli", "stability-0.3"), ("ja/jcommonsenseqa", "lm-eval-ja")])
def test_a_sample_is_asked_as_it_is_among_all_items(benchmark_data: Path, name: str, profile: str) -> None:
    loaded = load_benchmark(name, benchmark_data)
    every = {prompt.item.id: prompt.text for prompt in build_prompts(loaded, profile)[1]}
    _, sample = build_prompts(loaded, profile, limit=4)
    assert len(sample) == 4 < len(every)
    assert all(every[prompt.item.id] == prompt.text for prompt in sample)
    assert {prompt.item.id for prompt in build_prompts(loaded, "jp-adapt", shots=0, limit=4)[1]} == {prompt.item.id for prompt in sample}


def test_balanced_examples_show_every_label(benchmark_data: Path) -> None:
    loaded = load_benchmark("ja/jnli", benchmark_data)
    _, prompts = build_prompts(loaded, "jp-adapt")
    examples = prompts[0].text.split("関係：")[1:]
    assert sorted(example.split("\n")[0] for example in examples) == ["", "中立", "含意", "矛盾"]
    assert len({prompt.text[: prompt.text.rindex("前提：")] for prompt in prompts}) == 1, "the same examples for all: one prefix"


def test_a_profile_that_is_not_declared(benchmark_data: Path) -> None:
    with pytest.raises(UsageError, match="ja/jmmlu: no protocol of profile 'lm-eval-ja'; it has: jp-adapt"):
        build_prompts(load_benchmark("ja/jmmlu", benchmark_data), "lm-eval-ja")


def test_too_few_examples(benchmark_data: Path) -> None:
    with pytest.raises(InputError, match="50 examples are asked for, and there are 12"):
        build_prompts(load_benchmark("ja/jnli", benchmark_data), "stability-0.3", shots=50)


# Texts of Stability's fork, put together by hand from lm_eval/tasks/ja/*.py (branch jp-stable): description, then doc_to_text.
JCQA = "0番は何？"
STABILITY = {
    ("ja/jcommonsenseqa", "stability-0.2.1"): (
        "与えられた選択肢の中から、最適な答えを選んでください。 \n\n質問：{q}\n選択肢：\n- {0}\n- {1}\n- {2}\n- {3}\n- {4}\n回答：",
    ),
    ("ja/jcommonsenseqa", "stability-0.3"): (
        "以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。\n\n### 指示:\n"
        "与えられた選択肢の中から、最適な答えを選んでください。出力は以下から選択してください：\n"
        "- {0}\n- {1}\n- {2}\n- {3}\n- {4}\n\n### 入力:\n{q}\n\n### 応答:\n",
    ),
    ("ja/jcommonsenseqa", "stability-0.6"): (
        "<s>[INST] <<SYS>>\nあなたは役立つアシスタントです。\n<</SYS>>\n\n与えられた5つの選択肢の中から、最適な答えを選んでください。"
        "出力は以下から選択してください：\n- {0}\n- {1}\n- {2}\n- {3}\n- {4}\n\n質問：{q} [/INST] ",
    ),
}


@pytest.mark.parametrize(("name", "profile"), STABILITY)
def test_stabilitys_jcommonsenseqa(benchmark_data: Path, name: str, profile: str) -> None:
    _, prompts = build_prompts(load_benchmark(name, benchmark_data), profile, shots=0)
    for prompt in prompts:
        assert prompt.text == STABILITY[name, profile][0].format(*prompt.choices, q=prompt.item.fields["question"])


def test_stabilitys_other_tasks(benchmark_data: Path) -> None:
    _, jnli = build_prompts(load_benchmark("ja/jnli", benchmark_data), "stability-0.3", shots=0)
    item = jnli[0].item.fields
    assert jnli[0].text.endswith(
        "### 指示:\n与えられた前提と仮説の関係を回答してください。\n\n出力は以下から選択してください：\nentailment\ncontradiction\nneutral\n\n"
        f"### 入力:\n前提：{item['sentence1']}\n仮説：{item['sentence2']}\n\n### 応答:\n"
    )
    protocol, jsquad = build_prompts(load_benchmark("ja/jsquad", benchmark_data), "stability-0.2.1", shots=0)
    assert jsquad[0].text == (
        "質問に対する回答を文章から一言で抽出してください。回答は名詞で答えてください。\n\n"
        f"文章:{jsquad[0].item.fields['passage']}\n質問:{jsquad[0].item.fields['question']}\n回答:"
    )
    assert (protocol.stop, protocol.max_tokens) == (["\n"], "longest_answer")
    _, mgsm = build_prompts(load_benchmark("ja/mgsm-ja", benchmark_data), "stability-0.3", shots=1)
    assert mgsm[0].text.startswith("問題：")
    assert mgsm[0].text.count("\nステップごとの答え：") == 2
    _, sums = build_prompts(load_benchmark("ja/xlsum-ja", benchmark_data), "stability-0.6", shots=0)
    assert sums[0].text == (
        "<s>[INST] <<SYS>>\nあなたは役立つアシスタントです。\n<</SYS>>\n\n"
        f"与えられたニュース記事を要約してください。\n\nニュース記事:{sums[0].item.fields['text']} [/INST] "
    )
    _, quiz = build_prompts(load_benchmark("ja/jaqket-v2", benchmark_data), "stability-0.3", shots=1)
    shown = quiz[0].text.split("### 応答:\n")[0]
    assert "文脈：答えは" in shown, "an example shows the first passage that holds the answer"


def test_the_prompts_of_llm_jp_eval(benchmark_data: Path) -> None:
    loaded = load_benchmark("ja/jemhopqa", benchmark_data)
    head = (
        "以下はタスクを説明する指示と、追加の背景情報を提供する入力の組み合わせです。要求を適切に満たす回答を書いてください。\n### 指示\n"
        "質問を入力とし、回答を出力してください。回答の他には何も含めないことを厳守してください。\n\n"
    )
    _, prompts = build_prompts(loaded, "llm-jp-eval-1.1", shots=2)
    chosen = (
        "### 入力：\n質問：『仮面ライダー電王』と『あまちゃん』、放送回数が多いのはどちらでしょう？\n### 回答：\nあまちゃん\n\n"
        "### 入力：\n質問：清原果耶と森田成一で活動開始が早かったのはどちらですか？\n### 回答：\n森田成一\n\n"
    )
    assert prompts[0].text == f"{head}{chosen}### 入力：\n質問：0は偶数？\n### 回答：\n"
    assert build_prompts(loaded, "llm-jp-eval-1.1", shots=0)[1][0].text == f"{head}\n### 入力：\n質問：0は偶数？\n### 回答：\n", "one newline more, as there"
    order = list(range(12))
    random.Random(42).shuffle(order)
    _, prompts = build_prompts(loaded, "llm-jp-eval-1.3", shots=1)
    assert prompts[0].text.endswith(
        f"\n\n### 入力:\n質問：{order[0]}は偶数？\n\n### 応答:\n{['YES', 'NO'][order[0] % 2]}\n\n### 入力:\n質問：0は偶数？\n\n### 応答:\n"
    )


def test_swallow_asks_as_llm_jp_eval_1_3_and_strips_the_answer() -> None:
    declared = {name: load_declaration(name)[0].protocols for name in shipped_benchmarks()}
    both = [(name, protocols) for name, protocols in declared.items() if {"swallow", "llm-jp-eval-1.3"} <= protocols.keys()]
    assert len(both) == 9
    for name, protocols in both:
        theirs, peer = (protocols[profile].model_dump() for profile in ("swallow", "llm-jp-eval-1.3"))
        differ = {key for key in theirs if theirs[key] != peer[key]}
        assert differ == ({"extract", "shots"} if name == "ja/jmmlu" else {"extract"}), name
        assert theirs["extract"][:2] == ["first_paragraph", "strip"]
    assert load_declaration("ja/jmmlu")[0].protocols["swallow"].shots == 5


def test_more_examples_than_llm_jp_eval_chose(benchmark_data: Path) -> None:
    with pytest.raises(InputError, match="5 examples are asked for, and there are 4"):
        build_prompts(load_benchmark("ja/jemhopqa", benchmark_data), "llm-jp-eval-1.1", shots=5)


def _records(name: str, split: str, data: Path) -> list[dict[str, Any]]:
    """The records as the hub's copies hold them, which japanese_leaderboard reads."""
    loaded = load_benchmark(name, data)
    items = loaded.shots if split == "train" else loaded.items
    records = []
    for item in items:
        record = {key: value for key, value in item.fields.items() if not key.startswith("_")}
        if name == "ja/jnli":
            record["label"] = item.answer
        if name in ("ja/jsquad", "ja/jaqket-v2"):
            record["answers"] = {"text": item.answers}
        if name == "ja/mgsm-ja":
            steps = "ステップごとの答え：" + record["steps"] if split == "train" else ""
            record = {"question": record["question"], "answer": steps, "answer_number": 0}
        for made in ("choices", "premise", "hypothesis", "passage", "steps", "answer_index", "q", "a"):
            record.pop(made, None)
        records.append(record)
    return records


@pytest.mark.parametrize("name", ["ja/jcommonsenseqa", "ja/jnli", "ja/jsquad", "ja/jaqket-v2", "ja/xlsum-ja", "ja/mgsm-ja"])
def test_lm_eval_asks_the_same(benchmark_data: Path, tmp_path: Path, name: str) -> None:
    """lm-eval's task on the same records: the same contexts with the same examples, continuations, stops."""
    lm_eval = pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    import yaml
    from lm_eval.api.task import ConfigurableTask

    folder = Path(lm_eval.__file__).parent / "tasks" / "japanese_leaderboard"
    short = {"ja/mgsm-ja": "mgsm", "ja/xlsum-ja": "xlsum", "ja/jaqket-v2": "jaqket_v2"}.get(name, name.removeprefix("ja/"))
    text = (folder / f"ja_leaderboard_{short}.yaml").read_text(encoding="utf-8").replace("!function ", "")
    config = {
        key: value
        for key, value in yaml.safe_load(text).items()
        if key not in ("metric_list", "process_docs", "process_results", "filter_list", "dataset_name")
    }
    tested = config["test_split"] or config["validation_split"]
    files = {}
    for split in {"train", tested}:
        files[split] = str(tmp_path / f"{split}.jsonl")
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in _records(name, "train" if split == "train" else "test", benchmark_data)]
        Path(files[split]).write_text("".join(lines), encoding="utf-8")
    config |= {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files, "cache_dir": str(tmp_path / "cache")},
        "validation_split": tested,
        "test_split": None,
    }
    if name == "ja/jcommonsenseqa":
        config["doc_to_choice"] = "{{[choice0, choice1, choice2, choice3, choice4]}}"
        config["doc_to_text"] = config["doc_to_text"].replace("in choices", "in [choice0, choice1, choice2, choice3, choice4]")
    task = ConfigurableTask(config=config)
    task.set_fewshot_seed(1234)
    task.build_all_requests(limit=6, rank=0, world_size=1)
    theirs = [instance.args for instance in task.instances]
    protocol, prompts = build_prompts(load_benchmark(name, benchmark_data), "lm-eval-ja")
    prompts = prompts[:6]
    assert protocol.shots == task.config.num_fewshot
    ours = [(prompt.text, choice) for prompt in prompts for choice in prompt.choices]
    if ours:
        assert ours == theirs
    else:
        assert [prompt.text for prompt in prompts] == [context for context, _ in theirs]
        assert all(kwargs["until"] == protocol.stop for _, kwargs in theirs)
