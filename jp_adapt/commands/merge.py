"""`jp-adapt merge models`: several models become one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jp_adapt.commands.merge_record import RECORD, MergeResult, card_facts
from jp_adapt.core.files import new_folder, refuse_existing, write_json
from jp_adapt.export.card import write_card
from jp_adapt.recipe.merge import LoadedMerge, MergeSettings, ModelSettings, load_merge

if TYPE_CHECKING:
    from jp_adapt.commands.merge_parents import OpenModel


def merge_models(recipe: Path | LoadedMerge, out: Path) -> MergeResult:
    """Merge the models of a merge recipe into the new model folder `out`: safetensors, configuration, tokenizer, a card that quotes the recipe.

    Besides: `merge.json` (what was merged how), and `rows.jsonl` where a model lacked tokens (what it got for each of them).

    Raises:
        UsageError: the recipe is wrong, or `out` exists. InputError: a model is missing, or the models do not match. GateError: values that are not finite.
    """
    refuse_existing(out)
    loaded = recipe if isinstance(recipe, LoadedMerge) else load_merge(recipe)
    merge = loaded.recipe
    folders = {name: (Path(str(merge.folder_of(name))), model.adapter) for name, model in merge.models.items()}
    models = open_models({name: (path, Path(adapter) if adapter is not None else None) for name, (path, adapter) in folders.items()})
    return merge_into(out, models, merge, merge.models, title=merge.name, text=loaded.text)


def open_models(folders: Mapping[str, tuple[Path, Path | None]]) -> dict[str, OpenModel]:
    """Open models: name -> folder of the model and, for an adapter on it, the adapter's."""
    from jp_adapt.commands.merge_parents import open_model

    return {name: open_model(name, folder, adapter) for name, (folder, adapter) in folders.items()}


def merge_into(
    out: Path, models: Mapping[str, OpenModel], merge: MergeSettings, settings: Mapping[str, ModelSettings], *, title: str, text: str
) -> MergeResult:
    """Merge opened models as `merge` and the `settings` of each say, into the new folder `out`; the card quotes `text`."""
    from jp_adapt.commands.merge_plan import plan_merge

    if merge.write == "adapter":
        from jp_adapt.commands.merge_adapters import write_adapter as write
    else:
        from jp_adapt.commands.merge_folder import write_model as write
    plan = plan_merge(models, merge, settings)
    with new_folder(out) as target:
        record = write(target, models, merge, plan)
        write_json(target / RECORD, record)
        write_card(target, title, card_facts(record, text), tags=("jp-adapt", "merge"))
    return MergeResult(out, record)
