"""Everything that is found below a folder, as a catalogue and as a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jp_adapt
from jp_adapt.core.documents import Rows
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.results import Scores
from jp_adapt.pipeline.open_run import open_run
from jp_adapt.ui.listing import entries
from tests.evaluation.test_compare import coins, write_run
from tests.pipeline.test_open_run import make_run


def test_runs_and_evaluations_are_found_below_a_folder(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", done=True)
    make_run(tmp_path / "b", done=False)
    (first / "stages" / "eval" / "final").mkdir(parents=True)
    write_run(first / "stages" / "eval" / "final" / "base", {"ja/x": coins(0.5, 40, 1)})
    (tmp_path / "scores").mkdir()
    write_run(tmp_path / "scores" / "mine", {"ja/x": coins(0.5, 40, 2), "ja/y": coins(0.5, 40, 3)})
    for name in ("parts", "a.old-1", ".hidden", "checkpoints"):
        (tmp_path / name).mkdir()
        write_run(tmp_path / name / "x", {"ja/x": [1.0, 0.0]})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "scores.json").write_text("{}", encoding="utf-8")
    results = jp_adapt.runs(tmp_path)
    assert [(run.path.name, run.done, run.summary is not None) for run in results.runs] == [("a", True, True), ("b", False, False)]
    assert [entry.path.relative_to(tmp_path).as_posix() for entry in results.evaluations] == ["a/stages/eval/final/base", "scores/mine"]
    assert [path.name for path, _ in results.unreadable] == ["broken"]
    frame = results.to_pandas()
    assert list(frame["path"]) == ["a/stages/eval/final/base", "scores/mine", "scores/mine"]
    assert list(frame["benchmark"]) == ["ja/x", "ja/x", "ja/y"]
    with pytest.raises(InputError, match="no such folder; give one that holds runs or results"):
        jp_adapt.runs(tmp_path / "nothing")


def test_corpora_tokenizers_and_merges_are_found_by_their_documents(tmp_path: Path) -> None:
    sources = [{"name": "ja", "documents": 2, "characters": 90, "tokens": 60, "scripts": {}, "lengths": [], "problems": {"count": 0, "first": []}}]
    for name, files in {
        "corpus": {"report.json": {"format": 1, "sources": sources, "steps": {}}, "index.json": {}},
        "tok": {"extension.json": {"tokens": [{"bytes": "e3"}, {"bytes": "e38182"}, {"bytes": "e38184"}]}, "tokenizer.json": {}},
        "odd": {"extension.json": [], "tokenizer.json": {}},
        "merged": {"merge.json": {"format": 2}},
    }.items():
        (tmp_path / name).mkdir()
        for file, value in files.items():
            (tmp_path / name / file).write_text(json.dumps(value), encoding="utf-8")
    found = {entry.path: (entry.kind, entry.headline) for entry in entries(jp_adapt.runs(tmp_path))}
    assert found["corpus"] == ("corpus", "2 documents, 90 characters, 60 tokens")
    assert found["tok"] == ("tokenizer", "2 new tokens and 1 byte")
    assert found["odd"] == ("unreadable", "extension.json: not the record of an extended tokenizer (it lists no tokens); extend it again")
    assert found["merged"] == ("unreadable", "merge.json: not a record of a merge in format 1 (its format is 2); merge again with this version")


def test_an_entry_says_state_size_and_date(tmp_path: Path) -> None:
    make_run(tmp_path / "a", done=True)
    write_run(tmp_path / "judged", {"ja/x": [1.0, 0.0]})
    scores = json.loads((tmp_path / "judged" / "scores.json").read_text(encoding="utf-8"))
    (tmp_path / "judged" / "scores.json").write_text(json.dumps(scores | {"environment": {"judge": {}}}), encoding="utf-8")
    by_path = {entry.path: entry for entry in entries(jp_adapt.runs(tmp_path))}
    run, judged = by_path["a"], by_path["judged"]
    assert (run.kind, run.state, run.date) == ("run", "done", "2026-11-29T00:00:00+00:00")
    assert run.headline.startswith("chars/token 0.")
    assert run.figures["chars/token"] == 1.234
    assert run.bytes == sum(path.stat().st_size for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert (judged.kind, judged.headline, judged.figures) == ("judgement", "ja/x 0.500", {"ja/x": 0.5})


def test_a_notebook_shows_metrics_scores_and_items_as_tables(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", done=False)
    (folder / "stages" / "tok" / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1, "loss": 0.123456}\n', encoding="utf-8")
    run = open_run(folder)
    assert list(run.metrics("tok").to_pandas()["step"]) == [0, 1]
    assert run.metrics("tok")._repr_html_().endswith("<tr><td>0</td><td></td></tr><tr><td>1</td><td>0.1235</td></tr></tbody></table>")
    assert "<td>stopped</td>" in run._repr_html_()
    write_run(tmp_path / "scores", {"ja/x": coins(0.5, 60, 1)})
    scores = jp_adapt.read_scores(tmp_path / "scores")
    frame = scores.items().to_pandas()
    assert len(frame) == 60
    assert frame[scores.benchmarks[0].primary_metric].mean() == scores.benchmarks[0].primary.value
    assert scores.items()._repr_html_().endswith("<p>10 more rows: to_pandas() has all</p>")
    assert scores.as_dict() == Scores.read(tmp_path / "scores" / "scores.json").as_dict()
    with pytest.raises(InputError, match="come from no folder"):
        Scores.read(tmp_path / "scores" / "scores.json").items()


def test_a_table_in_a_notebook_holds_no_markup() -> None:
    shown = Rows([{"<b>": "<script>alert(1)</script>\u202e", "long": "あ" * 300}])._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;[U+202E]" in shown
    assert f"{'あ' * 200}…" in shown
    assert "あ" * 201 not in shown
