"""More small invented files in the layout of the upstream repositories (see `benchmark_files`): instructions, exact answers, knowledge, safety."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

NUM = 12
WORDS = ["犬", "猫", "鳥", "魚", "馬", "牛", "羊", "豚", "鹿", "熊", "狐", "狸"]


def _jsonl(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def _instructions(root: Path) -> None:
    names = [["ja:punctuation:no_comma"], ["ja:letters:kanji", "ja:keywords:existence"]]
    arguments: list[list[dict[str, Any]]] = [[{}], [{"kanji_limit": 3, "relation": "以上"}, {"keywords": ["犬"]}]]
    rows = [{"key": n, "prompt": f"{WORDS[n]}について書いてください。", "instruction_id_list": names[n % 2], "kwargs": arguments[n % 2]} for n in range(NUM)]
    _jsonl(root / "m-ifeval/data/ja_input_data.jsonl", rows)
    rows = [{"key": n, "prompt": f"Write {n}.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]} for n in range(NUM)]
    _jsonl(root / "ifeval/instruction_following_eval/data/input_data.jsonl", rows)


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _limits(root: Path) -> None:
    """LCTG Bench: three tasks, and in each record a prompt for each aspect."""
    begins = {
        "summary": "以下の条件で与えられた文章を要約して出力してください。",
        "ad_text": "以下の[文章]で与えられた説明文に対する広告文",
        "pros_and_cons": "旅行の",
    }
    for task, begin in begins.items():
        rows = [
            {
                "prompt_id": n,
                "base_text": f"{WORDS[n]}の話{task}",
                **{f"prompt_{aspect}": f"{begin}{aspect}{n}\n" for aspect in ("format", "char_count", "keyword", "prohibited_word")},
                "char_count_answer": [10 + n, 20 + n],
                "keyword_answer": WORDS[n],
                "prohibited_word_answer": WORDS[-n],
            }
            for n in range(NUM)
        ]
        _jsonl(root / "lctg/datasets" / task / "prompts_v1.jsonl", rows)


def _exact(root: Path) -> None:
    for split in ("train", "test"):
        rows = [{"question": f"{split} {n} and 1?", "answer": f"{n} + 1 = <<{n}+1={n + 1}>>{n + 1}.\n#### {n + 1}"} for n in range(NUM)]
        _jsonl(root / "gsm8k/grade_school_math/data" / f"{split}.jsonl", rows)
    tables = [
        {
            "id": f"nr_{n}",
            "subtask": ["numerical_reasoning", "temporal_reasoning"][n % 2],
            "pre_text": ["要約。"],
            "post_text": ["以上。"],
            "table": {"headers": ["項目", "金額(百万円)"], "rows": [["売上高", f"{n},000"]]},
            "qa": {"question": f"{n}は何%か。", "answer": f"{n}.5%" if n % 2 == 0 else "増収", "program": [], "gold_evidence": [0]},
        }
        for n in range(NUM)
    ]
    _text(root / "jfinqa/scripts/data/final/jfinqa_v1.json", json.dumps(tables, ensure_ascii=False))
    _parquet(root / "mclm/MT-MATH100/test-00000-of-00001.parquet", [{"en": f"{n}?", "ja": f"{n}は？", "answer": f"\\frac{{{n}}}{{2}}"} for n in range(NUM)])
    functions = [
        {
            "task_id": f"HumanEval/{n}",
            "prompt": f"def f{n}():\n",
            "canonical_solution": f"    return {n}\n",
            "test": f"def check(f):\n    assert f() == {n}\n",
            "entry_point": f"f{n}",
        }
        for n in range(NUM)
    ]
    path = root / "humaneval/data/HumanEval.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in functions).encode()))


def _choices(root: Path) -> None:
    for split in ("test", "dev"):
        for subject in ("anatomy", "us_history"):
            lines = "".join(f'"{split} {n}, which?",{WORDS[n]},b{n},c{n},d{n},{"ABCD"[n % 4]}\n' for n in range(NUM))
            _text(root / "mmlu/data" / split / f"{subject}_{split}.csv", lines)
    for split in ("test", "validation"):
        rows = [
            {
                "question_id": n,
                "question": f"{split} {n}は？",
                **{f"option_{k}": f"{WORDS[(n + k) % NUM]}" if k < 4 + n % 7 else None for k in range(10)},
                "answer": "ABCD"[n % 4],
                "answer_index": n % 4,
                "cot_content": "",
                "category": ["math", "law"][n % 2],
                "src": "ori_mmlu",
            }
            for n in range(2 * NUM)
        ]
        _parquet(root / "mmlu-prox/ja" / f"{split}-00000-of-00001.parquet", rows)
    rows = [
        {"qid": f"q{n}", "category": "culture", "question": f"{n}は？", **{f"choice{k}": WORDS[(n + k) % NUM] for k in range(4)}, "answer_index": n % 4}
        for n in range(NUM)
    ]
    _parquet(root / "jamc-qa/v1.0/test-00000-of-00001.parquet", rows)
    rows = [
        {"Question": f"{n}は？", "Correct Answer": f"{WORDS[n]}\n", **{f"Incorrect Answer {k}": f"{WORDS[(n + k) % NUM]}" for k in (1, 2, 3)}}
        for n in range(NUM)
    ]
    _parquet(root / "gpqa-ja/ja/science_ja.parquet", rows)
    answers = ["yes", "no", "unknown", "undef", "unacceptable"]
    problems = "".join(
        f"<problem answer='{answers[n % 5]}' jsem_id='{n}'><p idx='1'><script>{WORDS[n]}がいる。</script></p>"
        f"<p idx='2'><script>二つ目。</script><english>Two.</english></p><h><script>{WORDS[n]}が\nいた。</script></h><note></note></problem>"
        for n in range(NUM)
    )
    _text(
        root / "jsem/data/v1.0/Adverb.xml",
        f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE jsem-dataset SYSTEM "jsem.dtd">\n<jsem-dataset>{problems}</jsem-dataset>',
    )


def _safety(root: Path) -> None:
    rows = "".join(f"知識,動物,{n}は？,{WORDS[n]},\"['{WORDS[n]}', '別']\",\"['{WORDS[n - 1]}', '{WORDS[n - 2]}', '{WORDS[n - 1]}']\"\n" for n in range(NUM))
    _text(root / "jtruthfulqa/data/JTruthfulQA.csv", "Type,Category,Question,Original Answer,Correct Answers,Incorrect Answers\n" + rows)
    records = [
        {
            "example_id": n,
            "question_index": "1",
            "question_polarity": ["neg", "nonneg"][n % 2],
            "context_condition": ["ambig", "disambig"][n % 2],
            "category": "Age",
            "answer_info": {"ans0": ["若者", "若い人"], "ans1": ["年長者", "高齢者"], "ans2": ["わからない", "unknown"]},
            "additional_metadata": {"stereotyped_groups": ["高齢者"]},
            "context": f"{n}人が会った。",
            "question": "誰ですか？",
            "ans0": "若者",
            "ans1": "年長者",
            "ans2": "わからない",
            "label": [2, n // 2 % 2][n % 2],
        }
        for n in range(NUM)
    ]
    _jsonl(root / "jbbq/Age.jsonl", records)


def _free_answers(root: Path) -> None:
    """pfgen-bench: references in two styles, and a question's keywords; the examples are the same questions with their answers."""
    words = [*WORDS, *(f"子{word}" for word in WORDS)]
    questions = [(f"Q{n + 1:02d}", f"{word}とは何ですか？", f"{word}は動物です。{word}は鳴きます。") for n, word in enumerate(words)]
    for n, (name, question, answer) in enumerate(questions):
        record = {
            "question_id": name,
            "question": question,
            "category": ["math", "biology"][n % 2],
            "note": f"{answer}図鑑にあります。",
            "keywords": [{"t": words[n]}, {"or": [{"t": "動物"}, {"t": "生き物"}], "importance": 0.5}],
            "answers": {"P": [answer, f"{words[n]}は生き物です。"], "S": [f"動物の{words[n]}です。"]},
        }
        _text(root / f"pfgen/data/{name}.json", json.dumps(record, ensure_ascii=False))
    _jsonl(root / "pfgen/data/questions.jsonl", [{"question": question, "answer": answer} for _, question, answer in questions])


def _function_calls(root: Path) -> None:
    """BFCL: a question may have a right call, none that fits, or any."""
    function = {
        "name": "zoo.feed",
        "description": "Feed an animal.",
        "parameters": {"type": "dict", "properties": {"animal": {"type": "string"}, "times": {"type": "integer"}}, "required": ["animal"]},
    }

    def write(folder: Path, prefix: str, categories: list[str], answered: list[str]) -> None:
        for category in categories:
            rows = [{"id": f"{category}_{n}", "question": [[{"role": "user", "content": f"Feed {WORDS[n]}."}]], "function": [function]} for n in range(NUM)]
            _jsonl(folder / f"{prefix}_{category}.json", rows)
        for category in answered:
            rows = [{"id": f"{category}_{n}", "ground_truth": [{"zoo.feed": {"animal": [WORDS[n]], "times": [1, ""]}}]} for n in range(NUM)]
            _jsonl(folder / "possible_answer" / f"{prefix}_{category}.json", rows)

    answered = ["multiple", "live_simple", "live_multiple"]
    free = ["irrelevance", "live_irrelevance", "live_relevance"]
    more = ["simple_python", "parallel", "parallel_multiple", "live_parallel", "live_parallel_multiple"]
    write(root / "bfcl/berkeley-function-call-leaderboard/bfcl_eval/data", "BFCL_v4", [*answered, *more, *free], [*answered, *more])
    write(root / "bfcl-ja", "BFCL_v3", [*answered, "simple", *free], [*answered, "simple"])


def _last_exam(root: Path) -> None:
    rows = [{"id": f"h{n}", "question": f"{n}を2で割ると？", "answer": [f"{n}/2", "A"][n % 2], "category": "Math", "image": ""} for n in range(NUM)]
    _jsonl(root / "hle-ja/test.jsonl", rows)


def _own_text(root: Path) -> None:
    _text(root / "niah/mine.txt", "".join(f"{WORDS[n % NUM]}が{n}匹いる。\n" for n in range(4000)))


def write_more_files(root: Path) -> None:
    """All of them, below `root`."""
    for writer in (_instructions, _limits, _exact, _choices, _safety, _free_answers, _function_calls, _last_exam, _own_text):
        writer(root)
