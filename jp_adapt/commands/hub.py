"""Send a model to the hub: what is known of it becomes the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import read_json
from jp_adapt.core.yaml_lines import load_yaml
from jp_adapt.evaluation.results import SCORES, read_scores
from jp_adapt.export.gguf_source import card_fields, texts_of
from jp_adapt.export.hub import check_repo, files_to_send, upload
from jp_adapt.export.hub_card import Card, CardScore, facts_of, render_card
from jp_adapt.export.licences import check_name, llama_licence, settled_licence, settled_name
from jp_adapt.report.run_summary import ROLES


@dataclass(frozen=True)
class HubPlan:
    """What will be sent: the card, further texts by name, and files."""

    repo: str
    texts: dict[str, str]
    files: list[Path]


def plan_upload(model: Path, repo: str, *, scores: Sequence[Path] = (), licence: str | None = None, base_model: str | None = None) -> HubPlan:
    """Everything that goes to the hub, before anything does.

    Args:
        scores: result folders of `jp-adapt eval`; by default what the run that the folder lies in has measured of it.
        licence: identifier of the hub; by default that of the folder's card, or of the base.
        base_model: hub id of the base; by default that of the card, or of the run that the folder lies in (RUN/stages/ID/final).

    Raises:
        UsageError: a repository name that is none, an unknown or wrong licence, or a name that the licence does not allow. InputError: no whole model folder.
    """
    check_repo(repo)
    files = files_to_send(model)
    fields = card_fields(model)
    base_model = base_model or next(iter(texts_of(fields.get("base_model"))), None) or _recipe_base(model)
    settled = settled_licence(licence, fields.get("license"), base_model)
    check_name(repo, settled)
    name = settled_name(settled, fields.get("license_name"), model)
    card = Card(
        repo,
        settled,
        name,
        base_model,
        facts_of(model),
        [score for folder in scores or _own_scores(model) for score in _scores(folder)],
        _criteria(model),
        [path.name for path in files if path.suffix == ".gguf"],
    )
    texts = {"README.md": render_card(card)}
    llama = llama_licence(settled)
    if llama is not None and not (model / "NOTICE").is_file():
        texts["NOTICE"] = llama.notice + "\n"
    return HubPlan(repo, texts, files)


def send(model: Path, plan: HubPlan, *, private: bool = False, update: bool = False) -> str:
    """Do what the plan says and return the address of the commit. See `export.hub.upload`."""
    return upload(model, plan.repo, plan.texts, private=private, update=update)


def _scores(folder: Path) -> list[CardScore]:
    results = []
    for entry in read_scores(folder).benchmarks:
        score = entry.primary
        if score.value is not None:
            results.append(CardScore(entry.name, entry.title, entry.source, entry.primary_metric, score.value, score.interval, entry.items))
    return results


def _run_of(model: Path) -> Path | None:
    """The run folder that the model lies in, as stages/ID/final of it."""
    parents = model.resolve().parents
    return parents[2] if len(parents) > 2 and parents[1].name == "stages" and (parents[2] / "run.json").is_file() else None


def _recipe(model: Path) -> dict[str, Any]:
    """The recipe of the run that the model lies in; empty where it lies in none."""
    run = _run_of(model)
    if run is None or not (run / "resolved.yaml").is_file():
        return {}
    try:
        recipe = load_yaml(run / "resolved.yaml").value
    except UsageError as error:
        raise InputError(str(error)) from error
    return recipe if isinstance(recipe, dict) else {}


def _own_scores(model: Path) -> list[Path]:
    """Result folders of the evaluate stages of the model's run that have measured it."""
    results = []
    stages = _recipe(model).get("stages")
    for stage in stages if isinstance(stages, list) else ():
        if isinstance(stage, dict) and stage.get("kind") == "evaluate" and model.resolve().parent.name in (models := list(stage.get("models", ()))):
            role = ROLES[models.index(model.resolve().parent.name)]
            results.append(model.resolve().parents[1] / str(stage.get("id")) / "final" / role)
    return [folder for folder in results if (folder / SCORES).is_file()]


def _recipe_base(model: Path) -> str | None:
    base = _recipe(model).get("base")
    named = base.get("model") if isinstance(base, dict) else None
    return named if isinstance(named, str) else None


def _criteria(model: Path) -> dict[str, int]:
    """What the tokenizer stage of the model's run counted."""
    run = _run_of(model)
    path = next(iter(sorted(run.glob("stages/*/final/criteria.json"))), None) if run is not None else None
    value = read_json(path) if path is not None else {}
    return {str(name): failures for name, failures in value.items() if isinstance(failures, int)} if isinstance(value, dict) else {}
