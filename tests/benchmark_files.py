"""Small files in the layout of the upstream repositories, invented for the tests, so that every declaration can be loaded and asked without their data."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from tests.benchmark_files_more import write_more_files
from tests.drawn_shapes import COLOURS, SHAPES, pixels, png

NUM = 12
MANY = 40  # where llm-jp-eval keeps 32 records for its examples
WORDS = ["犬", "猫", "鳥", "魚", "馬", "牛", "羊", "豚", "鹿", "熊", "狐", "狸"]


def _jsonl(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _jglue(root: Path) -> None:
    base = root / "jglue" / "datasets"
    for split, first in (("train", 0), ("valid", 100)):
        rows = range(first, first + NUM)
        _jsonl(
            base / "jcommonsenseqa-v1.3" / f"{split}-v1.3.json",
            [{"q_id": n, "question": f"{n}番は何？", **{f"choice{k}": f"{WORDS[(n + k) % 12]}" for k in range(5)}, "label": n % 5} for n in rows],
        )
        pairs = [{"sentence_pair_id": str(n), "sentence1": f"{WORDS[n % 12]}がいます。", "sentence2": f"{WORDS[(n + 1) % 12]}が{n}匹います。"} for n in rows]
        labels = ["entailment", "contradiction", "neutral"]
        _jsonl(base / "jnli-v1.3" / f"{split}-v1.3.json", [pair | {"label": labels[n % 3]} for n, pair in zip(rows, pairs, strict=True)])
        _jsonl(base / "jsts-v1.3" / f"{split}-v1.3.json", [pair | {"label": float(n % 6)} for n, pair in zip(rows, pairs, strict=True)])
        questions = [
            {
                "id": f"a{n}",
                "question": f"{n}番の動物は？",
                "answers": [{"text": WORDS[n % 12], "answer_start": 0}, {"text": f"{WORDS[n % 12]}です", "answer_start": 0}],
            }
            for n in rows
        ]
        # The answer of every other question stands in the title alone, as some of the real ones do.
        pages = [(WORDS[n % 12], "動物園の動物。") if n % 2 == 0 else ("動物", f"{WORDS[n % 12]}がいる。") for n in rows]
        data = {
            "data": [
                {"title": title, "paragraphs": [{"context": f"{title} [SEP] {passage} ", "qas": [question]}]}
                for (title, passage), question in zip(pages, questions, strict=True)
            ]
        }
        _text(base / "jsquad-v1.3" / f"{split}-v1.3.json", json.dumps(data, ensure_ascii=False))


def _mgsm(root: Path) -> None:
    folder = root / "mgsm" / "mgsm"
    for language in ("ja", "en"):
        _text(folder / f"mgsm_{language}.tsv", "".join(f'{n}個と"{n}個では？\t{2 * n}\n' for n in range(1, NUM)))
    examples = {
        language: {str(n): {"q": f"{q}{n}個と1個では？", "a": f"{a}{n} + 1 = {n + 1}。答えは{n + 1}です。"} for n in range(1, 9)}
        for language, q, a in (("ja", "問題：", "ステップごとの答え："), ("en", "Question: ", "Step-by-Step Answer: "))
    }
    _text(folder / "exemplars.py", f'"""Prompts."""\nimport nothing_that_exists\n\nMGSM_EXEMPLARS = {examples!r}\n')


def _questions(root: Path) -> None:
    questions = "".join(
        f'<question id="N-{n}"><text>{n}番は？</text><answers><answer>{WORDS[n]}</answer><answer>{n}</answer></answers><meta><B1>何</B1></meta></question>'
        for n in range(NUM)
    )
    for split in ("dev", "test"):
        _text(root / "niilc" / "data" / f"NIILC-ECQA2015_{split}.xml", f"<?xml version='1.0' encoding=\"UTF-8\"?>\n<questions>{questions}</questions>")
        name = "train" if split == "dev" else "dev"
        rows = [{"qid": f"{name}{n}", "type": "comparison", "question": f"{n}は偶数？", "answer": ["YES", "NO"][n % 2]} for n in range(NUM)]
        _text(root / "jemhopqa" / "corpus" / f"{name}.json", json.dumps(rows, ensure_ascii=False))
    for split in ("train", "validation"):
        rows = [
            {
                "qid": f"{split}{n}",
                "question": f"{n}番は？",
                "answers": {"text": [WORDS[n]], "answer_start": [0]},
                "ctxs": {
                    "id": ["1", "2"],
                    "title": ["題", "名"],
                    "text": ["関係ない文。", f"答えは{WORDS[n]}。"],
                    "score": ["1", "0"],
                    "has_answer": [False, n != 3],
                },
            }
            for n in range(NUM)
        ]
        path = root / "jaqket_v2" / "v2.0" / split / "0000.parquet"
        path.parent.mkdir(parents=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _sentences(root: Path) -> None:
    for name, count in (("in_domain_train", NUM), ("in_domain_valid", NUM), ("out_of_domain_valid", MANY)):
        sentences = [{"uid": 1000 * len(name) + n, "label": n % 2, "sentence": f"{WORDS[n % 12]}が{n}匹走る。"} for n in range(count)]
        _jsonl(root / "jcola/data/jcola-v1.0" / f"{name}-v1.0.json", sentences)
    english = [
        f"{name}_En" for name in ("sentence_A", "sentence_B", "entailment_label", "relatedness_score", "corr_entailment_labelAB", "corr_entailment_labelBA")
    ]
    header = "\t".join(["pair_ID", "data", *english, "sentence_A_Ja", "sentence_B_Ja", "entailment_label_Ja", "relatedness_score_Ja"]) + "\n"
    labels = ["entailment", "contradiction", "neutral"]
    for split in ("train", "test"):
        lines = [f'{n}\t-\t-\t-\t-\t-\t-\t-\t{WORDS[n]}が"いる\t{WORDS[-n]}がいる\t{labels[n % 3]}\t3.5\n' for n in range(NUM)]
        _text(root / "jsick/jsick" / f"{split}.tsv", header + "".join(lines))
    columns = ["id", "sentence_A_Ja", "sentence_B_Ja", "entailment_label_Ja", "heuristics", "number_of_NPs", "semtag", "split"]
    rows = [
        f"{n}\t{WORDS[n % 12]}が走る\t{WORDS[n % 12]}が走った\t{['entailment', 'non-entailment'][n % 2]}\tfull-overlap\t1\t-\t{'train' if n < NUM else 'test'}"
        for n in range(2 * NUM)
    ]
    _text(root / "janli/janli.tsv", "\n".join(["\t".join(columns), *rows, ""]))
    tokens = json.dumps(["犬", "は", "猫", "を見た。", "彼", "は逃げた。"])
    options = json.dumps([["犬", [0, 1], ["犬"], False], ["猫", [2, 3], ["猫"], True]])
    row = ["jp", "test", "x", "犬は猫を見た。彼は逃げた。", tokens, json.dumps(["彼", [4, 5], ["彼"]]), options]
    _text(root / "xwinograd_ja/dataset.jp.tsv", "".join("\t".join(row) + "\n" for _ in range(NUM)))


def _others(root: Path) -> None:
    for subject in ("anatomy", "world_history"):
        rows = "".join(f'"{n}番は、\n何？",{WORDS[n % 12]}, {n},c{n},d{n}, {"ABCD"[n % 4]}\n' for n in range(MANY))
        _text(root / "jmmlu/JMMLU" / f"{subject}.csv", "\ufeff" + rows)
    for split in ("train", "test"):
        _jsonl(
            root / "xlsum/japanese_XLSum_v2.0" / f"japanese_{split}.jsonl",
            [{"id": str(n), "text": f"{WORDS[n]}の記事。", "summary": f"{WORDS[n]}。"} for n in range(NUM)],
        )
    for pair in ("en-ja", "ja-en"):
        for field, word in (("src", "source"), ("ref", "訳")):
            _text(root / "sacrebleu/wmt20" / f"wmt20.{pair}.{field}", "".join(f"{word} {n}\n" for n in range(NUM)))
    programs = [
        {
            "task_id": f"T/{n}",
            "prompt": f"def f{n}():\n",
            "canonical_solution": f"    return {n}\n",
            "test": f"def check(f):\n    assert f() == {n}\n",
            "entry_point": f"f{n}",
        }
        for n in range(NUM)
    ]
    path = root / "jhumaneval/data/jhuman-eval.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in programs).encode()))
    _jsonl(
        root / "elyza_tasks_100/assets/elyza_tasks_100/dataset.jsonl",
        [{"input_text": f"{n}を説明して", "output_text": "例", "eval_aspect": "基準"} for n in range(NUM)],
    )
    turns = [{"question_id": n, "category": "math", "turns": [f"{n}とは？", "もっと短く。"]} for n in range(NUM)]
    _jsonl(root / "japanese_mt_bench/fastchat/llm_judge/data/japanese_mt_bench/question_full.jsonl", turns)
    _jsonl(root / "rakuda/jrank/data/rakuda_v2/questions.jsonl", [{"category": "地理", "question_id": f"q{n}", "turns": [f"{n}とは？"]} for n in range(NUM)])
    _jsonl(
        root / "hellaswag/data/hellaswag_val.jsonl",
        [{"ind": n, "activity_label": "Run", "ctx": "A man", "endings": [f"e{k}" for k in range(4)], "label": n % 4} for n in range(NUM)],
    )
    for split in ("Train", "Test"):
        rows = [
            {
                "id": f"{split}{n}",
                "question": {"stem": f"{n}?", "choices": [{"text": WORDS[(n + k) % 12], "label": "ABCD"[k]} for k in range(4)]},
                "answerKey": "ABCD"[n % 4],
            }
            for n in range(NUM)
        ]
        _jsonl(root / "arc/ARC-V1-Feb2018-2/ARC-Easy" / f"ARC-Easy-{split}.jsonl", rows)


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _pictures(root: Path) -> None:
    """Pictures as the hub's parquet files hold them, and beside a file of questions."""
    seen = [png(pixels(shape, 2, n), COLOURS[colour]) for n, (shape, colour) in enumerate(zip(SHAPES, COLOURS, strict=True))]
    cells = [{"bytes": data, "path": f"{n}.png"} for n, data in enumerate(seen)]
    split = "data/test-00000-of-00001.parquet"
    asked = [[{"qa_id": 10 * n + k, "question": f"{k}番の色は？", "answer": f"{colour}です。"} for k in range(3)] for n, colour in enumerate(COLOURS)]
    _parquet(root / "ja_vg_vqa_500" / split, [{"image_id": n, "image": cell, "qas": qas} for n, (cell, qas) in enumerate(zip(cells, asked, strict=True))])
    questions = [{"page_url": "u", "image_url": "u", "image": cells[n % 4], "question": f"{n}番は？", "answer": "丸が二つ。"} for n in range(NUM)]
    _parquet(root / "ja_vlm_bench_in_the_wild" / split, questions)
    several = [{"images": [cells[n % 4], cells[(n + 1) % 4]], "question": f"<image> と<image> の違いは{n}？", "answer": "色。"} for n in range(NUM)]
    _parquet(root / "ja_multi_image_vqa" / split, several)
    numbered = [
        {
            "id": f"q{n}",
            "question": f"<image 1>の{n}番は？<image 2>は？",
            "options": str(["丸", "it's", '"四角"', "<image 2>"]),
            "answer": "ABCD"[n % 4],
            "question_type": "multiple-choice" if n else "open",
            **{f"image_{k}": cells[(n + k) % 4] if k < 3 else None for k in range(1, 8)},
        }
        for n in range(NUM)
    ]
    _parquet(root / "jmmmu/Accounting/test-00000-of-00001.parquet", numbered)
    for n, data in enumerate(seen):
        (root / "heron_bench/images").mkdir(parents=True, exist_ok=True)
        (root / f"heron_bench/images/00{n}.jpg").write_bytes(data)
    kinds = ("conv", "detail", "complex")
    lines = [
        {"question_id": n, "image": f"00{n % 4}.jpg", "category": kinds[n % 3], "context": f"{n}が写っています。", "text": f"{n}は何？"} for n in range(NUM)
    ]
    _jsonl(root / "heron_bench/questions_ja.jsonl", lines)


def write_benchmark_files(root: Path) -> Path:
    """All of them, below `root`."""
    writers: list[Callable[[Path], None]] = [_jglue, _mgsm, _questions, _sentences, _others, _pictures, write_more_files]
    for writer in writers:
        writer(root)
    return root
