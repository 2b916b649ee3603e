"""The model card of an exported folder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from jp_adapt.core.files import write_text


def write_card(
    folder: Path, title: str, facts: list[str], *, languages: tuple[str, ...] = ("ja", "en"), licence: str | None = None, tags: tuple[str, ...] = ("jp-adapt",)
) -> None:
    """`README.md`: a model card with the front matter that the hub reads, and what is known of where the model comes from."""
    front = ["---", *(["license: " + licence] if licence else []), "language:", *(f"- {language}" for language in languages)]
    front += ["library_name: transformers", "pipeline_tag: text-generation", f"tags: [{', '.join(tags)}]", "---"]
    body = ["", f"# {title}", "", f"Made with jp-adapt {metadata.version('jp-adapt')}.", "", *facts, ""]
    write_text(folder / "README.md", "\n".join(front + body))


class StageRecord(Protocol):
    """What a stage wrote down of itself: stage.json."""

    @property
    def id(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def results(self) -> dict[str, Any]: ...


def export_facts(recipe: Any, stages: Sequence[StageRecord], difference: float, dtype: str) -> list[str]:
    """Lines of the card of a model that a recipe made: its base, texts with their licences, stages, settings."""
    base = ", ".join(f"{key} `{value}`" for key, value in recipe.base.model_dump(exclude_none=True).items() if key != "path")
    lines = [f"- recipe: `{recipe.name}`, seed {recipe.seed}", f"- base: {base or 'a local folder'}"]
    lines += [f"- stage `{stage.id}`, fingerprint `{stage.fingerprint[:16]}`: {_tokens(stage)}" for stage in stages]
    lines += [f"- text `{name}` ({source.language}), license {source.license}" for name, source in recipe.sources.items()]
    return [*lines, _proof(difference, dtype), "", "The licence of the base holds for this model too. It was not tested for safety."]


def _tokens(stage: StageRecord) -> str:
    by_source = stage.results.get("tokens_by_source", {})
    return ", ".join(f"{tokens:,} tokens of {name}" for name, tokens in by_source.items()) or "no training"


def _proof(difference: float, dtype: str) -> str:
    return f"- merged logits and those of the base with the adapter attached differ by at most {difference:.1e} (float32); weights written in {dtype}"
