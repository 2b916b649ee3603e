"""An adapter folder becomes a plain model folder, proven to compute the same, with a card that says where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import new_folder, refuse_existing
from jp_adapt.core.hashes import sha256_file
from jp_adapt.export.card import proof_of, write_card
from jp_adapt.inference.text_side import read_facts, write_text_side
from jp_adapt.tokenizer.save import copy_tokenizer

if TYPE_CHECKING:
    from jp_adapt.model.causal import Quantization

PROBE = "これは、書き出したモデルが学習したモデルと同じ値を返すことを確かめる文です。 The same holds in English: 1, 2, 3."


def merge_adapter(adapter: str | Path, base: str | Path, out: str | Path, *, tokenizer: str | Path | None = None, dtype: str = "float32") -> float:
    """Merge LoRA and new rows of `adapter` into `base` and write a plain model folder `out`: safetensors, tokenizer, model card.

    Args:
        tokenizer: folder of the tokenizer that the adapter was trained with; by default the one beside the adapter, else the base's. Its hash must be
            the one that the adapter was saved with.
        dtype: of the written weights, float32 or bfloat16.

    Returns:
        The largest difference between a logit of the merged model and of the base with the adapter attached.

    Raises:
        InputError: a folder is missing, is not an adapter or no model, or the tokenizer is another one.
        GateError: merged and attached logits differ; nothing was written.
    """
    adapter, base, out, tokenizer = Path(adapter), Path(base), Path(out), None if tokenizer is None else Path(tokenizer)
    refuse_existing(out)
    for folder in (adapter, base, *([tokenizer] if tokenizer else [])):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    from jp_adapt.model.causal import adapter_metadata, resolve_precision
    from jp_adapt.model.export import export_model
    from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer

    facts = adapter_metadata(adapter)
    folder = _tokenizer_of(facts["tokenizer_sha256"], [tokenizer] if tokenizer else [adapter, base])
    probe = encoder(plain_tokenizer(folder))(PROBE)
    with new_folder(out) as target:
        trained, quantization = resolve_precision(facts.get("dtype", "float32")), cast("Quantization | None", facts.get("quantization"))
        difference = export_model(base, adapter, trained, target, probe, dtype=dtype, quantization=quantization)
        copy_tokenizer(folder, target)
        own, parents = read_facts(adapter), read_facts(base)
        start = own.document_start or parents.document_start
        if start is not None:  # an adapter of an earlier version does not say
            write_text_side(target, start, own.document_end or parents.document_end)
        lines = [f"- adapter: `{adapter.name}`, trained with a tokenizer of SHA-256 `{facts['tokenizer_sha256']}`", f"- base: `{base.name}`"]
        write_card(target, f"{base.name} with {adapter.name} merged", [*lines, proof_of(difference, dtype)])
    return difference


def _tokenizer_of(sha256: str, folders: list[Path]) -> Path:
    for folder in folders:
        if (folder / "tokenizer.json").is_file() and sha256_file(folder / "tokenizer.json") == sha256:
            return folder
    tried = ", ".join(str(folder) for folder in folders)
    raise InputError(f"the adapter was trained with a tokenizer.json of SHA-256 {sha256[:12]}..., and none lies in {tried}; name its folder with --tokenizer")
