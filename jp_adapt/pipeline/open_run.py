"""A run folder from Python: its recipe, its stages, its figures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from jp_adapt.core.documents import Rows
from jp_adapt.core.errors import InputError
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.visible import escape
from jp_adapt.pipeline.run_folder import RunFolder, RunRecord, resolved_recipe, run_record
from jp_adapt.pipeline.status import run_status
from jp_adapt.report.run_summary import SUMMARY, RunSummary


class Run:
    """What lies in a run folder; it is only read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: RunRecord = run_record(path)
        self.recipe = resolved_recipe(path)
        self.stages: list[str] = [stage["id"] for stage in self.recipe["stages"]]

    def __repr__(self) -> str:
        done = sum(map(self.done, self.stages))
        return f"<Run {self.record.name!r} in {self.path}: {done} of {len(self.stages)} stages done>"

    def _repr_html_(self) -> str:
        """The stages, for a notebook."""
        return f"<p>{escape(repr(self))}</p>{Rows(map(asdict, run_status(self.path)))._repr_html_()}"

    @property
    def summary(self) -> RunSummary:
        """summary.json, the figures of the report; InputError before the run is finished."""
        path = self.path / "report" / SUMMARY
        if not path.is_file():
            raise InputError(f"{self.path}: the run has no report yet; jp-adapt run resumes it, and jp-adapt report writes one of what is finished")
        return RunSummary.read(path)

    def done(self, stage_id: str) -> bool:
        """Whether a stage is finished."""
        return RunFolder(self.path).stage(self._known(stage_id)).done

    def metrics(self, stage_id: str) -> Rows:
        """The lines of a training stage's metrics.jsonl: one a step, step 0 for what was measured before training. `to_pandas()` makes a data frame."""
        return Rows(RunFolder(self.path).stage(self._known(stage_id)).read_metrics())

    def result(self, stage_id: str) -> Path:
        """The folder that a finished stage made: a tokenizer, an adapter, a model, or scores."""
        if not self.done(stage_id):
            raise InputError(f"{self.path}: stage '{stage_id}' is not finished; jp-adapt run resumes it")
        return RunFolder(self.path).stage(stage_id).final

    def _known(self, stage_id: str) -> str:
        if stage_id not in (*self.stages, "base"):
            raise InputError(f"{self.path}: no stage '{stage_id}'{did_you_mean(stage_id, self.stages)}; stages: {', '.join(self.stages)}")
        return stage_id


def open_run(path: str | Path) -> Run:
    """The run in folder `path`. InputError when it is not a run folder."""
    return Run(Path(path))
