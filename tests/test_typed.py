"""The package is typed for those who use it: a small program that calls the public API passes mypy --strict, and a wrong call does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """\
from pathlib import Path

import jp_adapt

recipe = jp_adapt.load_recipe("quickstart", ["seed=7"])
result = jp_adapt.run_recipe(recipe, Path("runs/typed"))
done: list[str] = result.stages_done
scores = jp_adapt.evaluate(Path("model"), Path("scores"), suite="quick")
values: list[float | None] = [metric.value for entry in scores.benchmarks for metric in entry.metrics.values()]
comparison = jp_adapt.compare_scores("scores/a", "scores/b")
verdicts: list[str] = [entry.verdict for pair in comparison.pairs for entry in pair.benchmarks]
model: str = jp_adapt.read_scores("scores/a").model_name
bits: float | None = result.summary.headline.bits_per_char_ja.adapted
finished: list[bool] = [run.done for run in jp_adapt.runs("runs").runs]
loaded = jp_adapt.load_tokenizer(Path("tokenizer.json"))
ids: list[int] = loaded.tokenizer.encode("日本語")
difference: float = jp_adapt.merge_adapter(Path("adapter"), Path("base"), Path("out"))
merged: Path = jp_adapt.merge_models(Path("merge.yaml"), Path("merged")).folder
jp_adapt.add_metric("same", jp_adapt.Metric("texts", lambda prediction, answer: float(prediction == answer), share=True))
try:
    jp_adapt.open_run(Path("runs/typed"))
except jp_adapt.JpAdaptError as error:
    code: int = error.exit_code
"""


def mypy(*programs: Path) -> subprocess.CompletedProcess[str]:
    # with the settings of this repository, which skip the sources of torch and transformers: reading those would take a minute
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--strict", *map(str, programs)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.programs
def test_a_users_program_is_checked(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    assert (ROOT / "jp_adapt" / "py.typed").is_file()
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(PROGRAM.replace("done: list[str]", "done: list[int]"), encoding="utf-8")
    run = mypy(tmp_path / "program.py", wrong)  # one reading of the package for both
    assert "wrong.py:7: error: Incompatible types in assignment" in run.stdout
    assert run.stdout.splitlines()[-1].startswith("Found 1 error in 1 file (checked 2 source files)"), run.stdout
