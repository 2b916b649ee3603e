"""`jp-adapt merge models`: several models become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from jp_adapt.commands.merge_record import RECORD, MergeResult, card_facts
from jp_adapt.core.files import new_folder, refuse_existing
from jp_adapt.export.card import write_card
from jp_adapt.inference.text_side import write_text_side
from jp_adapt.recipe.load_merge import LoadedMerge, load_merge
from jp_adapt.recipe.merge import MergeSettings, ModelSettings


def merge_models(recipe: str | Path | LoadedMerge, out: str | Path) -> MergeResult:
    """Merge the models of a merge recipe into the new model folder `out`: safetensors, configuration, tokenizer, a card that quotes the recipe.

    Besides: `merge.json` (what was merged how), and `rows.jsonl` where a model lacked tokens (what it got for each of them).

    Raises:
        UsageError: the recipe is wrong, or `out` exists. InputError: a model is missing, or the models do not match. GateError: values that are not finite.
    """
    out = Path(out)
    refuse_existing(out)
    loaded = recipe if isinstance(recipe, LoadedMerge) else load_merge(Path(recipe))
    merge = loaded.recipe
    folders = {name: (Path(str(merge.folder_of(name))), _path(model.adapter)) for name, model in merge.models.items()}
    return merge_into(out, folders, merge, merge.models, title=merge.name, text=loaded.text, write=merge.write)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def merge_into(
    out: Path,
    folders: Mapping[str, tuple[Path, Path | None]],
    merge: MergeSettings,
    settings: Mapping[str, ModelSettings],
    *,
    title: str,
    text: str,
    write: Literal["model", "adapter"] = "model",
    document_start: str | None = None,
    document_end: str | None = None,
    finish: Callable[[Path], Sequence[str]] = lambda folder: (),
) -> MergeResult:
    """Merge models into the new folder `out`.

    Args:
        folders: of each model, and of the adapter on it, if there is one.
        settings: what the method takes from each model.
        text: what the card quotes.
        document_start, document_end: the tokens around every document, where the tokenizer's folder does not say.
        finish: called with the folder when the weights are written; it may add files, and gives more lines for the card.
    """
    from jp_adapt.commands.merge_parents import open_models
    from jp_adapt.commands.merge_plan import plan_merge

    if write == "adapter":
        from jp_adapt.commands.merge_adapters import write_adapter as write_weights
    else:
        from jp_adapt.commands.merge_folder import write_model as write_weights
    models = open_models(folders)
    plan = plan_merge(models, merge, settings)
    with new_folder(out) as target:
        record = write_weights(target, models, merge, plan)
        if document_start is not None:
            write_text_side(target, document_start, document_end)
        record.write(target / RECORD)
        write_card(target, title, [*finish(target), *card_facts(record, text)], tags=("jp-adapt", "merge"))
    return MergeResult(out, record)
