"""The model card of an exported folder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from jp_adapt.core.files import read_json, write_text
from jp_adapt.model.vision import is_vision

USE = "## Use"  # what stands behind it is written anew for the hub


def write_card(
    folder: Path,
    title: str,
    facts: list[str],
    *,
    languages: Sequence[str] = ("ja", "en"),
    licence: str | None = None,
    base_model: str | None = None,
    tags: tuple[str, ...] = ("jp-adapt",),
) -> None:
    """`README.md`: a model card with the front matter that the hub reads, and what is known of where the model comes from."""
    front = ["---", *([f"base_model: {base_model}"] if base_model else []), *([f"license: {licence}"] if licence else [])]
    front += ["language:", *(f"- {language}" for language in languages)]
    front += [
        "library_name: transformers",
        f"pipeline_tag: {'image-text-to-text' if _sees(folder) else 'text-generation'}",
        f"tags: [{', '.join(tags)}]",
        "---",
    ]
    body = ["", f"# {title}", "", f"Made with jp-adapt {metadata.version('jp-adapt')}.", "", *facts, ""]
    write_text(folder / "README.md", "\n".join(front + body))


def _sees(folder: Path) -> bool:
    return (folder / "config.json").is_file() and is_vision(read_json(folder / "config.json"))


class StageRecord(Protocol):
    """What a stage wrote down of itself: stage.json."""

    @property
    def id(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def results(self) -> dict[str, Any]: ...


def write_export_card(folder: Path, recipe: Any, stages: Sequence[StageRecord], proof: str, licence: str | None) -> None:
    """The card of a model that `stages` of a recipe made: its base, the texts that it learned from with their licenses, stages, proof, and how it is used.

    Args:
        folder: of the model, as far as it is written; whether it has a chat template is seen there.
        licence: the base's, where it is known.
    """
    learned = _learned_from(recipe, {stage.id for stage in stages})
    base = ", ".join(f"{key} `{value}`" for key, value in recipe.base.model_dump(exclude_none=True).items() if key != "path")
    facts = [f"- recipe: `{recipe.name}`, seed {recipe.seed}", f"- base: {base or f'the folder `{Path(recipe.base.path).name}`'}"]
    facts += [f"- stage `{stage.id}`, fingerprint `{stage.fingerprint[:16]}`: {_tokens(stage)}" for stage in stages]
    facts += [f"- learned from `{name}` ({source.language}), license {source.license}{_held_out(source)}" for name, source in learned.items()]
    facts += [proof, "", "The license of the base holds for this model too. It was not tested for safety.", "", USE, "", *_usage(folder)]
    languages = [language for language in ("ja", "en") if any(source.language == language for source in learned.values())]
    write_card(folder, recipe.title or recipe.name, facts, languages=languages or ["ja"], licence=licence, base_model=recipe.base.model)


def _learned_from(recipe: Any, stage_ids: set[str]) -> dict[str, Any]:
    """The sources that these stages learned tokens or weights from; those that were only measured are not among them."""
    stages = [stage for stage in recipe.stages if stage.id in stage_ids]
    names = [name for stage in stages for name in (*getattr(stage, "corpus", ()), *getattr(stage, "pairs", ()))]
    names += [item.source for stage in stages for item in getattr(stage, "data", ())]
    return {name: source for name, source in recipe.sources.items() if name in names}


def _held_out(source: Any) -> str:
    return f"; {100 * source.heldout:g} % of it was held out" if source.heldout is not None else ""


def _usage(folder: Path) -> list[str]:
    lines = ["```python", "from transformers import AutoModelForCausalLM, AutoTokenizer", "", 'model = AutoModelForCausalLM.from_pretrained("FOLDER")']
    lines += ['tokenizer = AutoTokenizer.from_pretrained("FOLDER")']
    if (folder / "chat_template.jinja").is_file():
        chat = 'tokenizer.apply_chat_template([{"role": "user", "content": "..."}], add_generation_prompt=True, return_tensors="pt", return_dict=True)'
        return [*lines, f"prompt = {chat}", "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=200)[0]))", "```"]
    lines += ['prompt = tokenizer("日本でいちばん高い山は", return_tensors="pt")', "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=40)[0]))"]
    return [*lines, "```"]


def _tokens(stage: StageRecord) -> str:
    by_source = stage.results.get("tokens_by_source", {})
    return ", ".join(f"{tokens:,} tokens of {name}" for name, tokens in by_source.items()) or "no training"


def proof_of(difference: float, dtype: str) -> str:
    return f"- merged logits and those of the base with the adapter attached differ by at most {difference:.1e} (float32); weights written in {dtype}"
