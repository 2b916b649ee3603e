"""Many models on many suites: every cell is what `eval` gives, work is shared and continued, and one correction goes over the whole table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands import matrix as matrix_module
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.commands.matrix import MatrixRecord, evaluate_matrix
from jp_adapt.core.errors import RunFolderError, UsageError
from jp_adapt.core.lock import folder_lock
from jp_adapt.evaluation.leaderboard import LEADERBOARD, Leaderboard
from jp_adapt.evaluation.results import read_outputs, read_scores
from jp_adapt.inference import model_folder
from tests.commands.own_benchmark import mine


@pytest.fixture
def suites(tmp_path: Path) -> list[str]:
    """Two suites of one benchmark each, of 40 items."""
    paths = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        items = [{"id": f"{name}{n}", "question": f"{n}と{n}では？", "choices": [str(2 * n), str(n)], "answer": n % 2} for n in range(1, 41)]
        benchmark = mine(folder, items)
        (folder / f"{name}.yaml").write_text(f"format: 1\ntitle: {name}\nbenchmarks: ['{benchmark}']\n", encoding="utf-8")
        paths.append(str(folder / f"{name}.yaml"))
    return paths


@pytest.fixture
def models(pico: Path, pico_untied: Path, tmp_path: Path) -> list[str]:
    for name, source in (("base", pico), ("other", pico_untied)):
        shutil.copytree(source, tmp_path / name)
    return [str(tmp_path / "base"), str(tmp_path / "other")]


def test_every_cell_is_what_eval_gives(models: list[str], suites: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, read = [], []
    load_model, load_benchmark = model_folder.load_model, matrix_module.load_benchmark
    monkeypatch.setattr(model_folder, "load_model", lambda folder, *a, **k: loaded.append(folder.name) or load_model(folder, *a, **k))
    monkeypatch.setattr(matrix_module, "load_benchmark", lambda name, *a, **k: read.append(name) or load_benchmark(name, *a, **k))
    board = evaluate_matrix(models, suites, tmp_path / "out", dtype="float32")
    assert loaded == ["base", "other"], "a model is loaded once for all suites"
    assert len(read) == 2, "a benchmark is read once for all models"
    assert [row.suite for row in board.table] == suites
    for model in models:
        for suite, row in zip(suites, board.table, strict=True):
            alone = evaluate(model, tmp_path / "alone" / Path(model).name / Path(suite).stem, suite=suite, dtype="float32")
            standing = next(standing for standing in row.standings if standing.model == Path(model).name)
            assert standing.value == alone.benchmarks[0].primary.value
    assert Leaderboard.read(tmp_path / "out" / LEADERBOARD) == board
    assert board.tests == 2, "one correction over both suites"
    assert [standing.outcome is None for row in board.table for standing in row.standings] == [True, False, True, False]
    assert len(board.rows()) == 4
    assert board.to_pandas()["model"].tolist() == ["base", "other"] * 2


def test_how_models_are_asked_is_the_same_in_all_cells(models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite, out = tmp_path / "everyday.yaml", tmp_path / "out"
    suite.write_text("format: 1\ntitle: everyday\nbenchmarks: [quickstart/ja-everyday-100]\n", encoding="utf-8")
    command = ["eval", "matrix", models[0], "--suites", str(suite), "--out", str(out), "--limit", "2", "--chat", "--system"]
    assert main([*command, "短く答える。"]) == 0
    assert all("短く答える。" in output.prompt for output in read_outputs(next(out.rglob("outputs.jsonl"))))
    assert main([*command, "長く答える。"]) == 5
    assert "asking.system" in capsys.readouterr().err


def test_the_command_continues_and_shows_what_is_missing(
    models: list[str], suites: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    command = ["eval", "matrix", *models, "--suites", ",".join(suites), "--out", str(out), "--dtype", "float32"]
    weights = Path(models[1]) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "not everything could be measured; the same command tries these again:" in error
    assert f"other on {suites[0]}: " in error
    board = Leaderboard.read(out / LEADERBOARD)
    assert board.missing == [("other", suite) for suite in suites]
    weights.write_bytes(whole)
    measured = []
    evaluate_source = matrix_module.evaluate_source
    monkeypatch.setattr(matrix_module, "evaluate_source", lambda *a, **k: measured.append(a[1]) or evaluate_source(*a, **k))
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "corrected for 2 tests (Holm)" in printed
    assert f"Page: {out / 'index.html'}" in printed
    page = (out / "index.html").read_text(encoding="utf-8")
    links = {f"{Path(model).name}/" for model in models}
    assert all(f'<a href="{link}' in page for link in links)
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == ["base", "other"]


def test_a_command_that_came_to_no_result_leaves_no_models(models: list[str], suites: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    shared = {"profile": None, "limit": 7, "seed": 0, "shots": None, "dtype": "float32", "backend": "local"}
    MatrixRecord(shared, models=["gone"], suites=["gone"]).write(out / MatrixRecord.FILE)
    board = evaluate_matrix(models[:1], suites[:1], out, dtype="float32", limit=3)
    assert board.models == ["base"]
    assert board.missing == []


def test_what_another_process_works_on_is_left_to_it(models: list[str], suites: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    cell = matrix_module.Cell("base", suites[0], out / "base" / matrix_module._slug(suites[0]))
    evaluate_matrix(models, suites[1:], out, dtype="float32")
    with folder_lock(cell.folder):
        board = evaluate_matrix(models, suites, out, dtype="float32")
        assert board.missing == [("base", suites[0])]
        assert not (cell.folder / "scores.json").exists()
    assert evaluate_matrix(models, suites, out, dtype="float32").missing == []
    assert read_scores(cell.folder).model_name == "base"


def test_a_folder_of_another_evaluation_is_not_touched(models: list[str], suites: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate_matrix(models[:1], suites[:1], out, dtype="float32")
    with pytest.raises(RunFolderError, match="holds another matrix"):
        evaluate_matrix(models[:1], suites[:1], out, dtype="float32", limit=3)
    alone = tmp_path / "alone"
    evaluate(models[0], alone, suite=suites[0], dtype="float32")
    page = (alone / "index.html").read_bytes()
    with pytest.raises(RunFolderError, match="is not empty, and holds no matrix"):
        evaluate_matrix(models[:1], suites[:1], alone, dtype="float32")
    assert (alone / "index.html").read_bytes() == page


def test_models_and_suites_are_added_to_a_matrix(models: list[str], suites: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate_matrix(models[:1], suites[:1], out, dtype="float32")
    board = evaluate_matrix(models[1:], suites[:1], out, dtype="float32")
    assert board.models == ["base", "other"], "the first command's model stays the one that others are compared with"
    assert [standing.model for standing in board.table[0].standings] == ["base", "other"]
    assert evaluate_matrix(models[:1], suites[1:], out, dtype="float32").missing == [("other", suites[1])]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([], ["quick"]), "no model is named"),
        ((["{0}", "{0}"], ["quick"]), "is named twice"),
        ((["{0}"], ["quick", "quick"]), "suite quick is named twice"),
        ((["{0}"], ["nosuch"]), "no suite 'nosuch'"),
    ],
)
def test_wrong_names_are_told_before_any_work(given: tuple[list[str], list[str]], said: str, models: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        evaluate_matrix([name.format(*models) for name in given[0]], given[1], tmp_path / "out")
    assert not (tmp_path / "out").exists()
