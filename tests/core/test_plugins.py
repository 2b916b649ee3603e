"""A plugin is a package of somebody else's: named in an entry point, off until a flag or a recipe names it, and then as good as what is built in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.core.errors import UsageError
from jp_adapt.core.plugins import use_plugins
from tests.processes import Ended, run

CODE = '''
import jp_adapt

def same_length(prediction, answer):
    """1 where an answer is as long as the right one."""
    return float(len(prediction) == len(answer))

class Echo:
    """An engine that prefers the choice with the fewest tokens and always writes the same."""

    version = "7"

    def __init__(self, folder, side, dtype):
        self.folder, self.side, self.max_tokens = folder, side, side.max_tokens

    def log_likelihoods(self, requests, max_tokens, advance):
        return [-float(len(request.ids)) for request in requests]

    def continue_prompts(self, requests, advance):
        return ["四文字だ" for request in requests]

    def take_warnings(self):
        return []

    def again(self, *, one_at_a_time):
        return self

def register():
    jp_adapt.add_metric("same_length", jp_adapt.Metric("texts", same_length, share=True))
    jp_adapt.add_engine("echo", Echo)
'''
BENCHMARK = """\
format: 1
kind: generate
version: "1"
title: Lengths
licence: CC0-1.0
source: own
language: ja
data: {test: {files: [lengths.jsonl], reader: jsonl}}
id: "{{ id }}"
answers: ["{{ answer }}"]
protocols:
  jp-adapt:
    prompt: "{{ question }}"
    max_chars: 10
    metrics: [same_length, exact_match]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder on the path of Python with an installed package that has a plugin, as pip would leave it."""
    site = tmp_path / "site"
    (site / "somebodys-1.2.dist-info").mkdir(parents=True)
    (site / "somebodys.py").write_text(CODE, encoding="utf-8")
    (site / "somebodys-1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys\nVersion: 1.2\n", encoding="utf-8")
    (site / "somebodys-1.2.dist-info" / "entry_points.txt").write_text("[jp_adapt.plugins]\nlengths = somebodys:register\n", encoding="utf-8")
    (site / "lengths.yaml").write_text(BENCHMARK, encoding="utf-8")
    lines = [{"id": str(at), "question": f"{at}番目の質問", "answer": "四文字の" if at % 2 else "三文字"} for at in range(4)]
    (site / "lengths.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return site


def evaluate(pico: Path, site: Path, out: Path, *options: str) -> Ended:
    return run("eval", str(pico), "--benchmarks", str(site / "lengths.yaml"), "--data", str(site), "--out", str(out), *options, env={"PYTHONPATH": str(site)})


def test_a_metric_and_an_engine_of_a_plugin_run_end_to_end(pico: Path, site: Path, tmp_path: Path) -> None:
    done = evaluate(pico, site, tmp_path / "scores", "--plugin", "lengths", "--backend", "echo")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text(encoding="utf-8"))
    assert scores["benchmarks"][0]["metrics"]["same_length"]["value"] == 0.5
    assert scores["model"]["echo"] == "7"
    identity = json.loads((tmp_path / "scores" / "eval.json").read_text(encoding="utf-8"))
    assert identity["identity"]["plugins"] == {"lengths": "1.2"}


def test_a_plugin_is_off_unless_it_is_named(pico: Path, site: Path, tmp_path: Path) -> None:
    done = evaluate(pico, site, tmp_path / "scores")
    assert done.returncode == 2
    assert "no metric 'same_length'" in done.stderr
    (site / "lengths.yaml").write_text(BENCHMARK.replace("same_length, ", ""), encoding="utf-8")
    done = evaluate(pico, site, tmp_path / "scores", "--backend", "echo")
    assert done.returncode == 2
    assert "--backend echo: no such engine; engines: local, vllm" in done.stderr


def test_a_recipe_may_name_a_plugin(pico: Path, site: Path, tmp_path: Path) -> None:
    recipe = f"""\
format: 1
name: lengths
plugins: [lengths]
base: {{path: {pico}}}
stages:
  - {{id: eval, kind: evaluate, models: [base], benchmarks: [{site}/lengths.yaml], data: {site}}}
"""
    (tmp_path / "recipe.yaml").write_text(recipe, encoding="utf-8")

    def check() -> Ended:
        return run("check", str(tmp_path / "recipe.yaml"), env={"PYTHONPATH": str(site)})

    assert check().returncode == 0, check().stderr
    (tmp_path / "recipe.yaml").write_text(recipe.replace("plugins: [lengths]", "plugins: [lenghts]"), encoding="utf-8")
    assert "recipe.yaml:3: no plugin 'lenghts' (did you mean 'lengths'?); installed plugins: lengths" in check().stderr
    (tmp_path / "recipe.yaml").write_text(recipe.replace("plugins: [lengths]\n", ""), encoding="utf-8")
    assert "no metric 'same_length'" in check().stderr


def test_a_plugin_that_is_not_installed_is_told() -> None:
    with pytest.raises(UsageError, match="no plugin 'nothing'; none is installed"):
        use_plugins(["nothing"])


def test_a_plugin_that_fails_is_named(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "somebodys.py").write_text("def register():\n    raise RuntimeError('not today')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    with pytest.raises(UsageError, match=r"plugin 'lengths' \(somebodys:register\) failed: RuntimeError: not today"):
        use_plugins(["lengths"])
