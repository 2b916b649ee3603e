"""An adapter folder becomes a plain model folder, proven to compute the same, with a card that says where it comes from."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import new_folder, read_json, refuse_existing, write_text
from jp_adapt.core.hashes import sha256_file
from jp_adapt.tokenizer.save import COPIED

if TYPE_CHECKING:
    from jp_adapt.model.causal import Quantization

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", *COPIED)
PROBE = "これは、書き出したモデルが学習したモデルと同じ値を返すことを確かめる文です。 The same holds in English: 1, 2, 3."
MERGE_DTYPES = ("float32", "bfloat16")


def merge_adapter(adapter: Path, base: Path, out: Path, *, tokenizer: Path | None = None, dtype: str = "float32") -> float:
    """Merge LoRA and new rows of `adapter` into `base` and write a plain model folder `out`: safetensors, tokenizer, model card.

    Args:
        tokenizer: folder of the tokenizer that the adapter was trained with; by default the one beside the adapter, else the base's. Its hash must be
            the one that the adapter was saved with.
        dtype: of the written weights, float32 or bfloat16.

    Returns:
        The largest difference between a logit of the merged model and of the base with the adapter attached.

    Raises:
        InputError: a folder is missing, is no adapter or no model, or the tokenizer is another one.
        GateError: merged and attached logits differ; nothing was written.
    """
    refuse_existing(out)
    for folder in (adapter, base, *([tokenizer] if tokenizer else [])):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    from jp_adapt.model.causal import adapter_metadata, resolve_precision
    from jp_adapt.model.export import export_model
    from jp_adapt.pipeline.encoder import encoder, plain_tokenizer

    facts = adapter_metadata(adapter)
    folder = _tokenizer_of(facts["tokenizer_sha256"], [tokenizer] if tokenizer else [adapter, base])
    probe = encoder(plain_tokenizer(folder / "tokenizer.json"))(PROBE)
    with new_folder(out) as target:
        trained, quantization = resolve_precision(facts.get("dtype", "float32")), cast("Quantization | None", facts.get("quantization"))
        difference = export_model(base, adapter, trained, target, probe, dtype=dtype, quantization=quantization)
        copy_tokenizer(folder, target)
        lines = [f"- adapter: `{adapter.name}`, trained with a tokenizer of SHA-256 `{facts['tokenizer_sha256']}`", f"- base: `{base.name}`"]
        write_card(target, f"{base.name} with {adapter.name} merged", [*lines, _proof(difference, dtype)])
    return difference


def _tokenizer_of(sha256: str, folders: list[Path]) -> Path:
    for folder in folders:
        if (folder / "tokenizer.json").is_file() and sha256_file(folder / "tokenizer.json") == sha256:
            return folder
    tried = ", ".join(str(folder) for folder in folders)
    raise InputError(f"the adapter was trained with a tokenizer.json of SHA-256 {sha256[:12]}..., and none lies in {tried}; name its folder with --tokenizer")


def copy_tokenizer(source: Path, target: Path) -> None:
    """The files of a tokenizer, as they are."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def write_card(folder: Path, title: str, facts: list[str], *, languages: tuple[str, ...] = ("ja", "en"), licence: str | None = None) -> None:
    """`README.md`: a model card with the front matter that the hub reads, and what is known of where the model comes from."""
    front = ["---", *(["license: " + licence] if licence else []), "language:", *(f"- {language}" for language in languages)]
    front += ["library_name: transformers", "pipeline_tag: text-generation", "tags: [jp-adapt]", "---"]
    body = ["", f"# {title}", "", f"Made with jp-adapt {metadata.version('jp-adapt')}.", "", *facts, ""]
    write_text(folder / "README.md", "\n".join(front + body))


def export_facts(recipe: Any, stages: list[dict[str, Any]], difference: float, dtype: str) -> list[str]:
    """Lines of the card of a model that a recipe made: its base, texts with their licences, stages, settings."""
    base = ", ".join(f"{key} `{value}`" for key, value in recipe.base.model_dump(exclude_none=True).items() if key != "path")
    lines = [f"- recipe: `{recipe.name}`, seed {recipe.seed}", f"- base: {base or 'a local folder'}"]
    lines += [f"- stage `{stage['id']}`, fingerprint `{stage['fingerprint'][:16]}`: {_tokens(stage)}" for stage in stages]
    lines += [f"- text `{name}` ({source.language}), licence {source.licence}" for name, source in recipe.sources.items()]
    return [*lines, _proof(difference, dtype), "", "The licence of the base holds for this model too. It was not tested for safety."]


def _tokens(stage: dict[str, Any]) -> str:
    by_source = stage.get("results", {}).get("tokens_by_source", {})
    return ", ".join(f"{tokens:,} tokens of {name}" for name, tokens in by_source.items()) or "no training"


def _proof(difference: float, dtype: str) -> str:
    return f"- merged logits and those of the base with the adapter attached differ by at most {difference:.1e} (float32); weights written in {dtype}"


def stage_records(folders: list[Path]) -> list[dict[str, Any]]:
    """What the stages before an export wrote down of themselves."""
    return [dict(read_json(folder / "stage.json")) for folder in folders]
