"""The card of a model on the hub, in English and Japanese: what was done, scores with intervals and protocol, how to use it, licence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from jp_adapt.core.files import read_text
from jp_adapt.export.card import USE
from jp_adapt.export.licences import llama_licence


@dataclass(frozen=True)
class CardScore:
    """A figure on the card: `name` says benchmark, protocol, shots and metric; `interval` is of 95 %."""

    name: str
    title: str
    source: str
    metric: str
    value: float
    interval: tuple[float, float] | None
    items: int


@dataclass(frozen=True)
class Card:
    """What the card is made of.

    Attributes:
        licence: its identifier on the hub. licence_name: what it is called, where the identifier is `other`; else the identifier.
        facts: what is known of how the model was made, as lines of Markdown (the body of the folder's own README.md).
        criteria: of the tokenizer: criterion -> how often it is broken.
        ggufs: names of the GGUF files that go along.
    """

    repo: str
    licence: str
    licence_name: str
    base_model: str | None
    facts: str
    scores: Sequence[CardScore]
    criteria: Mapping[str, int]
    ggufs: Sequence[str]


def facts_of(folder: Path) -> str:
    """The body of the folder's README.md, without front matter and title; empty where there is none."""
    path = folder / "README.md"
    if not path.is_file():
        return ""
    body = re.sub(r"\A---\r?\n.*?\r?\n---\r?\n", "", read_text(path), flags=re.DOTALL)
    return re.sub(r"\A\s*# .*\n", "", body).partition(f"\n{USE}\n")[0].strip()


def render_card(card: Card) -> str:
    """README.md with the front matter that the hub reads."""
    name = card.repo.rsplit("/", 1)[-1]
    results = [_result(score) for score in card.scores]
    data = ModelCardData(
        base_model=card.base_model,
        eval_results=results or None,
        language=["ja", "en"],
        library_name="transformers",
        license=card.licence,
        license_name=card.licence_name if card.licence == "other" else None,
        model_name=name if results else None,
        pipeline_tag="text-generation",
        tags=["jp-adapt"],
    )
    parts = [f"---\n{data.to_yaml()}\n---", f"# {name}", *_english(card), "---", *_japanese(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _result(score: CardScore) -> EvalResult:
    arguments: dict[str, Any] = {"protocol": score.name, "items": score.items}
    if score.interval is not None:
        arguments["interval_95"] = list(score.interval)
    return EvalResult(
        task_type="text-generation",
        dataset_type=score.source or score.name.split("@", 1)[0],
        dataset_name=score.title,
        metric_type=score.metric,
        metric_name=score.name,
        metric_value=score.value,
        metric_args=arguments,
    )


def _english(card: Card) -> list[str]:
    llama = llama_licence(card.licence)
    licence = f"This model is under the licence of its base: {card.licence_name}." + (f" {llama.built_with}." if llama and llama.built_with else "")
    return [
        f"**{llama.built_with}**" if llama and llama.built_with else "",
        "## How it was made",
        card.facts or "Nothing is recorded of how this model was made.",
        *_scores(
            card.scores, "## Scores", "Intervals are of 95 %. A score's name says whose protocol it follows; scores of different names must not be compared."
        ),
        *_criteria(card.criteria, "## Tokenizer", "How often each criterion of the extended tokenizer is broken (0 is what the build demands):"),
        "## Use",
        _usage(card, "Without a GPU, in llama.cpp:", "With a GPU, in vLLM:"),
        "## Licence",
        licence,
    ]


def _japanese(card: Card) -> list[str]:
    llama = llama_licence(card.licence)
    licence = f"本モデルには、ベースモデルと同じライセンス（{card.licence_name}）が適用されます。"
    licence += f"{llama.built_with}." if llama and llama.built_with else ""
    return [
        "# 日本語",
        "学習に使った段階・データ・ライセンスの記録は、上の「How it was made」のとおりです。" if card.facts else "作成方法の記録はありません。",
        *_scores(card.scores, "## 評価", "括弧内は95%区間です。スコアの名前は評価手順を表し、名前の異なるスコアどうしは比較できません。"),
        *_criteria(card.criteria, "## トークナイザー", "拡張したトークナイザーが各条件に反した回数です（ビルドの合格条件は0）。"),
        "## 使い方",
        _usage(card, "GPUがない場合（llama.cpp）:", "GPUがある場合（vLLM）:"),
        "## ライセンス",
        licence,
    ]


def _scores(scores: Sequence[CardScore], title: str, note: str) -> list[str]:
    if not scores:
        return []
    rows = [f"| `{score.name}` | {_figure(score)} | {score.items:,} |" for score in scores]
    return [title, note, "\n".join(["| | | n |", "|---|---:|---:|", *rows])]


def _figure(score: CardScore) -> str:
    return f"{score.value:.3f}" + ("" if score.interval is None else f" [{score.interval[0]:.3f}, {score.interval[1]:.3f}]")


def _criteria(criteria: Mapping[str, int], title: str, note: str) -> list[str]:
    return [title, note, "\n".join(f"- `{name}`: {failures}" for name, failures in criteria.items())] if criteria else []


def _usage(card: Card, llama_cpp: str, vllm: str) -> str:
    blocks = [
        "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f'model = AutoModelForCausalLM.from_pretrained("{card.repo}")\ntokenizer = AutoTokenizer.from_pretrained("{card.repo}")\n```'
    ]
    if card.ggufs:
        blocks.append(f"{llama_cpp}\n\n```\nhf download {card.repo} {card.ggufs[0]} --local-dir .\nllama-server --model {card.ggufs[0]} --jinja\n```")
    blocks.append(f"{vllm}\n\n```\nvllm serve {card.repo}\n```")
    return "\n\n".join(blocks)
