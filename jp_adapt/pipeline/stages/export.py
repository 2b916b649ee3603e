"""The export stage: an adapter becomes a plain model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jp_adapt.core.files import new_folder
from jp_adapt.core.progress import say
from jp_adapt.export.adapter import PROBE
from jp_adapt.export.card import proof_of, write_export_card
from jp_adapt.export.gguf_source import base_license
from jp_adapt.inference.text_side import write_text_side
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.pipeline.stages.context import Context, Results
from jp_adapt.pipeline.stages.sft import last_sft, write_chat_template
from jp_adapt.recipe.schema import ExportStage
from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer
from jp_adapt.tokenizer.save import copy_tokenizer


def run_export(stage: ExportStage, context: Context, folder: StageFolder) -> Results:
    """Merge into a plain folder with its tokenizer."""
    from jp_adapt.model.causal import resolve_precision
    from jp_adapt.model.export import export_model

    tokenizer_folder = context.tokenizer_folder(stage.id)
    tokenizer = plain_tokenizer(tokenizer_folder)
    probe = [context.prefix_id(tokenizer), *encoder(tokenizer)(PROBE)]
    adapter = context.stage_folder(stage.start).final
    with new_folder(folder.final) as target:
        trained, quantization = resolve_precision(context.recipe.precision), context.recipe.quantization
        difference = export_model(context.base, adapter, trained, target, probe, dtype=stage.dtype, quantization=quantization)
        copy_tokenizer(tokenizer_folder, target)
        if (sft := last_sft(stage, context)) is not None:
            write_chat_template(sft, context, target)
        write_text_side(target, context.document_start, context.document_end)
        write_export_card(target, context.recipe, context.records(stage.start), proof_of(difference, stage.dtype), base_license(context.base))
        files = _write_gguf(stage, target, context.recipe.name) if "gguf" in stage.formats else []
    return {"largest_logit_difference": difference} | ({"gguf": files} if files else {})


def _write_gguf(stage: ExportStage, folder: Path, recipe: str) -> list[dict[str, Any]]:
    """GGUF files in the folder itself, proven as `export gguf` proves them. Returns what was written."""
    from jp_adapt.export.gguf import export_gguf

    name = f"{recipe}-{stage.id}"
    exports = export_gguf(folder, folder / f"{name}.gguf", stage.gguf_types, name=name)
    for note in dict.fromkeys(note for export in exports for note in export.notes):
        say(f"{stage.id}: {note}")
    return [{"file": export.path.name, "type": export.type, "bytes": export.bytes, "proven": export.proven} for export in exports]
