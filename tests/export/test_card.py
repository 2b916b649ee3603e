"""The card of a model that a recipe made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from jp_adapt.export.card import proof_of, write_export_card
from jp_adapt.export.gguf_source import base_license
from jp_adapt.recipe.schema import Recipe

RECIPE = {
    "name": "mine",
    "title": "A model that reads our manuals",
    "base": {"model": "org/llama", "revision": "a" * 40},
    "sources": {
        "manuals": {"path": "m.jsonl", "language": "ja", "license": "CC-BY-4.0", "heldout": 0.01},
        "chat": {"path": "c.jsonl", "language": "ja", "format": "chat"},
        "secret": {"path": "s.jsonl", "language": "en"},
    },
    "stages": [
        {"id": "tok", "kind": "tokenizer", "corpus": ["manuals"], "new_tokens": 10},
        {"id": "cpt", "kind": "pretrain", "start": "tok", "data": ["manuals"], "budget": {"tokens": 10}, "heldout": ["secret"]},
        {"id": "sft", "kind": "sft", "start": "cpt", "data": ["chat"], "budget": {"epochs": 1}},
        {"id": "model", "kind": "export", "start": "sft"},
        {"id": "eval", "kind": "evaluate", "models": ["model"], "texts": ["secret"]},
    ],
}


@dataclass
class Record:
    id: str
    fingerprint: str = "0" * 64
    results: dict[str, Any] = field(default_factory=dict)


def test_it_names_base_license_what_was_learned_from_and_use(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    records = [Record("tok"), Record("cpt", results={"tokens_by_source": {"manuals": 10}}), Record("sft")]
    write_export_card(tmp_path, Recipe.model_validate(RECIPE), records, proof_of(1e-5, "float32"), "llama3.1")
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---")[1])
    assert (front["base_model"], front["license"], front["language"]) == ("org/llama", "llama3.1", ["ja"])
    assert "# A model that reads our manuals\n" in card
    assert "- learned from `manuals` (ja), license CC-BY-4.0; 1 % of it was held out\n" in card
    assert "- learned from `chat` (ja), license private\n" in card
    assert "secret" not in card
    assert "apply_chat_template" in card


def test_the_license_of_a_base_is_that_of_its_readme(tmp_path: Path) -> None:
    assert base_license(tmp_path) is None
    for text, license in (("license: apache-2.0", "apache-2.0"), ("license: other\nlicense_name: mine", None), ("tags: [a]", None)):
        (tmp_path / "README.md").write_text(f"---\n{text}\n---\n# base\n", encoding="utf-8")
        assert base_license(tmp_path) == license
