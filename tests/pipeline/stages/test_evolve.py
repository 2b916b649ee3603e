"""The evolve stage on small random models: it finds what helps, reports what it never saw, and a kill at any moment changes nothing."""

from __future__ import annotations

import json
import pickle
import shutil
import time

import pytest
from safetensors.torch import load_file

import jp_adapt
from jp_adapt.commands import evolve
from jp_adapt.commands.evolve_candidates import Setup
from jp_adapt.core.errors import InputError, RunFolderError, UsageError
from jp_adapt.recipe.load import load_recipe
from jp_adapt.report.evolution import EVOLUTION, FITNESS, Evolution
from tests import processes
from tests.conftest import documents

RECIPE = """\
format: 1
name: evo
base: {{path: {base}}}
seed: 7
precision: float32
sources:
  ja: {{path: ja.jsonl, language: ja, license: Apache-2.0}}
  en: {{path: en.jsonl, language: en, license: Apache-2.0}}
stages:
  - {{id: ja, kind: pretrain, start: base, data: [ja], budget: {{tokens: 1200}}, sequence_tokens: 64, batch_tokens: 128, lora: {{rank: 4, alpha: 8}}}}
  - {{id: en, kind: pretrain, start: base, data: [en], budget: {{tokens: 1200}}, sequence_tokens: 64, batch_tokens: 128, lora: {{rank: 2, alpha: 4}}}}
  - id: best
    kind: evolve
    method: {method}
    base: base
    models:
      base: {{start: base}}
      ja: {{start: ja}}
      en: {{start: en}}
    genome: {genome}
    uniform: [0.5, 1.0]
    fitness:
      text: {{text: ja, items: 6, chars: 40}}
      sums: {{benchmark: sums.yaml, weight: 0.5, items: 5}}
      en: {{text: en, weight: 0, guard: 1.01, items: 3, chars: 60}}
    generations: 3
    population: 4
    rounds: 2
"""
DESCENT = ("-s", "stages.best.gradient={steps: 4, radius: 0.1}", "-s", "stages.best.generations=1")
SUMS = """\
format: 1
kind: multiple_choice
version: "1"
title: Sums
license: Apache-2.0
source: made for a test
language: ja
data: {test: {files: [sums.jsonl], reader: jsonl}}
choices: choices
answer: answer
protocols:
  jp-adapt: {prompt: "{{ question }}", metrics: [accuracy]}
"""


def write_recipe(folder, base, *, method="task_arithmetic", genome="{groups: 2, weight: [0, 1.5]}"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in (("ja", documents("ja_train.jsonl")[:20]), ("en", documents("en_train.jsonl")[:8])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    items = [{"question": f"{a}+{a}=", "choices": [f"{2 * a}です", f"{2 * a + 1}です"], "answer": 0} for a in range(1, 13)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    (folder / "sums.yaml").write_text(SUMS, encoding="utf-8")
    path = folder / "evo.yaml"
    path.write_text(RECIPE.format(base=base, method=method, genome=genome), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def recipe(pico, tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("evolve") / "recipe", pico)


@pytest.fixture(scope="module")
def trained(recipe):
    """A run folder with the two parents."""
    parents = recipe.parent / "parents.yaml"
    text = recipe.read_text(encoding="utf-8")
    parents.write_text(text[: text.index("  - id: best")], encoding="utf-8")
    jp_adapt.run_recipe(load_recipe(parents), recipe.parent / "trained")
    return recipe.parent / "trained"


def evolved(recipe, trained, out, *settings):
    """The evolution in one go, in a process of its own."""
    shutil.copytree(trained, out)
    done = processes.run("run", str(recipe), "--out", str(out), *settings, timeout=400)
    assert done.returncode == 0, done.stderr
    return jp_adapt.open_run(out)


def wait_for_lines(journal, lines, command):
    """Until a journal has so many lines."""
    deadline = time.monotonic() + 150
    while not (journal.is_file() and journal.read_bytes().count(b"\n") >= lines) and command.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    assert command.poll() is None, "it ended before it could be killed"


@pytest.fixture(scope="module")
def run(recipe, trained):
    return evolved(recipe, trained, recipe.parent / "run")


@pytest.fixture(scope="module")
def evolution(run):
    return Evolution.read(run.result("best") / EVOLUTION)


def test_it_finds_a_better_merge_than_the_uniform_ones_and_says_what_it_never_saw(run, evolution):
    evolved, uniform = evolution.evolved, evolution.model(evolution.best_uniform)
    assert evolved.dev[FITNESS] < min(entry.dev[FITNESS] for entry in evolution.models if entry.kind == "uniform")
    assert [entry.kind for entry in evolution.models] == ["base", "parent", "parent", "uniform", "uniform", "mean", "evolved"]
    assert uniform.differences["text"].value == pytest.approx(evolved.heldout["text"] - uniform.heldout["text"])
    assert set(evolved.heldout) == {FITNESS, "text", "sums", "sums/accuracy", "en"}
    assert evolution.evaluations == 1 + 3 * 4
    assert evolution.candidates[-1].best == min(entry.fitness for entry in evolution.candidates if entry.whole)
    last = evolution.heldout_curve[-1].heldout
    assert last == pytest.approx({name: evolved.heldout[name] for name in (FITNESS, "text", "sums")})
    assert "best parent" in evolution.verdict or "the base" in evolution.verdict
    guard, en = next(entry for entry in evolution.guards if entry.name == "en"), evolved.heldout["en"] / uniform.heldout["en"]
    assert guard.heldout == pytest.approx(en, rel=0.01)
    card = (run.result("best") / "README.md").read_text(encoding="utf-8")
    assert evolution.verdict in card
    assert f"guard en: {guard.heldout:.3f} times the loss of '{evolution.best_uniform}' on held-out items (allowed: 1.01)" in card


def test_dev_and_held_out_items_are_apart(evolution):
    sizes = {figure.name: (figure.dev_items, figure.heldout_items) for figure in evolution.figures}
    assert sizes["text"] == (6, 14)
    assert sizes["sums"] == sizes["sums/accuracy"] == (5, 7)


def test_a_merge_stage_with_what_the_card_quotes_gives_the_same_weights(run, recipe, trained, tmp_path):
    card = (run.result("best") / "README.md").read_text(encoding="utf-8")
    quoted = card.partition("```yaml\n")[2].partition("```")[0]
    text = recipe.read_text(encoding="utf-8")
    stage = "  - id: best\n    kind: merge\n" + "".join(f"    {line}\n" for line in quoted.splitlines())
    again = recipe.parent / "again.yaml"
    again.write_text(text[: text.index("  - id: best")] + stage, encoding="utf-8")
    shutil.copytree(trained, tmp_path / "again")
    jp_adapt.run_recipe(load_recipe(again), tmp_path / "again")
    weights, same = (load_file(folder / "model.safetensors") for folder in (run.result("best"), jp_adapt.open_run(tmp_path / "again").result("best")))
    assert all(weights[name].equal(same[name]) for name in weights)


def test_killed_at_several_moments_it_ends_with_the_same_genomes_and_weights(recipe, trained, run, evolution, tmp_path):
    out = shutil.copytree(trained, tmp_path / "killed")
    journal = out / "stages" / "best" / "work" / "journal.jsonl"
    for lines in (2, 6, 10):
        command = processes.Command("run", str(recipe), "--out", str(out))
        wait_for_lines(journal, lines, command)
        command.kill()
    done = processes.run("run", str(recipe), "--out", str(out), timeout=400)
    assert done.returncode == 0, done.stderr
    assert "candidates are known" in done.stderr
    again = jp_adapt.open_run(out)
    assert (again.result("best") / "model.safetensors").read_bytes() == (run.result("best") / "model.safetensors").read_bytes()
    known = Evolution.read(again.result("best") / EVOLUTION)
    assert (known.genes, known.candidates, known.models) == (evolution.genes, evolution.candidates, evolution.models)


@pytest.fixture(scope="module")
def descended(recipe, trained):
    """Gradient descent, and one generation from where it led."""
    return evolved(recipe, trained, recipe.parent / "descended", *DESCENT)


def test_gradient_descent_starts_the_search(descended, evolution):
    found = Evolution.read(descended.result("best") / EVOLUTION)
    assert [entry.kind for entry in found.models] == ["base", "parent", "parent", "uniform", "uniform", "gradient", "mean", "evolved"]
    steps = found.gradient_evaluations
    assert 3 <= steps <= 5  # fewer than it may take where it has settled
    assert found.evaluations == steps + 1 + 4
    by_gradient = found.model("gradient descent").dev[FITNESS]
    assert by_gradient < found.model(found.best_uniform).dev[FITNESS]
    assert found.evolved.dev[FITNESS] <= by_gradient + 1e-6
    assert found.candidates[0].fitness == pytest.approx(evolution.candidates[0].fitness, rel=1e-4)  # the best uniform merge
    assert found.candidates[steps].fitness == pytest.approx(min(entry.fitness for entry in found.candidates[:steps]), rel=1e-4)
    assert f"found by gradient descent and CMA-ES: {found.evaluations} candidates" in (descended.result("best") / "README.md").read_text(encoding="utf-8")


def test_gradient_descent_that_was_killed_ends_with_the_same(recipe, trained, descended, tmp_path):
    out = shutil.copytree(trained, tmp_path / "killed")
    journal = out / "stages" / "best" / "work" / "gradient.jsonl"
    command = processes.Command("run", str(recipe), "--out", str(out), *DESCENT)
    wait_for_lines(journal, 3, command)
    command.kill()
    known = journal.read_bytes()
    done = processes.run("run", str(recipe), "--out", str(out), *DESCENT, timeout=400)
    assert done.returncode == 0, done.stderr
    again, whole = jp_adapt.open_run(out).result("best"), descended.result("best")
    assert journal.read_bytes().startswith(known[: known.rfind(b"\n") + 1])
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert Evolution.read(again / EVOLUTION).candidates == Evolution.read(whole / EVOLUTION).candidates


def test_in_two_processes_it_finds_the_same(recipe, trained, descended, tmp_path):
    found = evolved(recipe, trained, tmp_path / "two", *DESCENT, "-s", "stages.best.processes=2")
    assert Evolution.read(found.result("best") / EVOLUTION).candidates == Evolution.read(descended.result("best") / EVOLUTION).candidates


def test_gradient_descent_alone(recipe, trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "run")
    made = []
    monkeypatch.setattr(evolve, "Setup", lambda *parts: made.append(Setup(*parts)) or made[-1])
    jp_adapt.run_recipe(load_recipe(recipe, ["stages.best.gradient={steps: 2}", "stages.best.generations=0"]), tmp_path / "run")
    found = Evolution.read(jp_adapt.open_run(tmp_path / "run").result("best") / EVOLUTION)
    assert [entry.kind for entry in found.models][-2:] == ["gradient", "evolved"]
    assert found.evolved.heldout == found.model("gradient descent").heldout
    assert pickle.dumps(made[0])  # raises where other processes could not be sent it; those of the tests are forks, and hold it already


def test_densities_are_searched_for_too(pico, trained, tmp_path):
    """What was written is compared with what was searched."""
    path = write_recipe(tmp_path / "ties", pico, method="ties", genome="{groups: 1, modules: [self_attn, mlp], weight: [0, 1.5], density: [0.2, 1]}")
    shutil.copytree(trained, tmp_path / "run")
    jp_adapt.run_recipe(load_recipe(path, ["stages.best.generations=1"]), tmp_path / "run")
    found = Evolution.read(jp_adapt.open_run(tmp_path / "run").result("best") / EVOLUTION)
    assert {entry.parameter for entry in found.genes} == {"weight", "density"}
    assert len(found.genes) == 2 * 2 * 2


def stack_recipe(folder, base, genome):
    """The same evolution over the layers of both models, without a base."""
    path = write_recipe(folder, base, method="passthrough", genome=genome)
    text = path.read_text(encoding="utf-8")
    for line in ("    base: base\n    models:\n      base: {start: base}\n", "    uniform: [0.5, 1.0]\n"):
        text = text.replace(line, "    models:\n" if "models" in line else "")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("passes", [1, 2])
def test_layers_are_searched_for(passes, pico, trained, tmp_path):
    """What was written, without the layers that were left out, is compared with what was searched; and is what its card quotes."""
    path = stack_recipe(tmp_path / "stack", pico, f"{{groups: 2, passes: {passes}, interleaved: true, scale: 1.2}}")
    shutil.copytree(trained, tmp_path / "run")
    settings = ["stages.best.gradient={steps: 6, radius: 0.2}", "stages.best.generations=2", "stages.best.fitness.en.guard=null"]
    jp_adapt.run_recipe(load_recipe(path, settings), tmp_path / "run")
    result = jp_adapt.open_run(tmp_path / "run").result("best")
    found = Evolution.read(result / EVOLUTION)
    behind = ".pass1" if passes > 1 else ""
    assert [entry.name for entry in found.genes][:3] == [f"ja.scale.0-0{behind}", f"en.scale.0-0{behind}", f"ja.scale.1-1{behind}"]
    assert [entry.name for entry in found.models] == [
        *("ja", "en", "layers of ja", "layers of en", "gradient descent", "mean of the last generation", "evolved"),
    ]
    for name in ("ja", "en"):  # a stack of its own layers is the model itself: both have the base's embedding
        assert found.model(f"layers of {name}").heldout["text"] == pytest.approx(found.model(name).heldout["text"], rel=1e-4)
    assert found.model("layers of ja").kind == "alone"
    assert found.evolved.dev[FITNESS] < found.model(found.best_uniform).dev[FITNESS]
    kept = [entry.best for entry in found.genes if entry.best]
    config = json.loads((result / "config.json").read_text(encoding="utf-8"))
    assert config["num_hidden_layers"] == len(kept)
    card = (result / "README.md").read_text(encoding="utf-8")
    stage = "".join(f"    {line}\n" for line in card.partition("```yaml\n")[2].partition("```")[0].splitlines())
    text = path.read_text(encoding="utf-8")
    again = path.parent / "again.yaml"
    again.write_text(text[: text.index("  - id: best")] + "  - id: best\n    kind: merge\n" + stage, encoding="utf-8")
    shutil.copytree(trained, tmp_path / "again")
    jp_adapt.run_recipe(load_recipe(again), tmp_path / "again")
    weights, same = (load_file(folder / "model.safetensors") for folder in (result, jp_adapt.open_run(tmp_path / "again").result("best")))
    assert weights.keys() == same.keys()
    assert all(weights[name].equal(same[name]) for name in weights)


@pytest.mark.parametrize(
    ("genome", "setting", "message"),
    [
        ("{weight: [0, 1]}", None, r"evo.yaml:\d+: passthrough takes layers as they are; take 'weight' out"),
        ("{groups: 2}", "uniform=[1]", "passthrough has no uniform merges"),
        ("{groups: 2}", "models.ja.scale=0.5", "the scale of 'ja' is searched for"),
        ("{groups: 2}", "slices=[{models: {ja: {layers: [0, 1]}}}]", "which layers there are is searched for; take 'slices' out"),
        ("{groups: 2}", "method=linear", None),
        ("{passes: 2}", "method=linear", "'passes' is of stacks of layers"),
        ("{groups: 1}", "models={ja: {start: ja}}", "one number is searched for, and a search is over at least two"),
        ("{groups: 2}", "fitness.fitness={text: ja}", "'fitness' is the weighted sum of the measures"),
        ("{weight: [-1, 1]}", "method=linear", "weights are searched from -1; linear divides by the sum of the weights"),
        ("{modules: [mlp, mlp]}", "method=linear", "modules are mlp, mlp; name each once"),
        ("{density: [0.01, 0.04]}", "method=ties", "densities are multiples of 0.05, of which there is none from 0.01 to 0.04"),
    ],
)
def test_what_a_search_over_layers_does_not_take(genome, setting, message, pico, tmp_path):
    path = stack_recipe(tmp_path, pico, genome)
    settings = [f"stages.best.{setting}"] if setting else []
    if message is None:
        load_recipe(path, settings)
        return
    with pytest.raises(UsageError, match=message):
        load_recipe(path, settings)


def test_other_items_are_other_work(recipe, run, pico, tmp_path):
    path = write_recipe(tmp_path / "other", pico)
    items = (path.parent / "sums.jsonl").read_text(encoding="utf-8").replace("1+1=", "1+01=")
    (path.parent / "sums.jsonl").write_text(items, encoding="utf-8")
    with pytest.raises(RunFolderError, match="benchmarks"):
        jp_adapt.run_recipe(load_recipe(path), recipe.parent / "run")


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("benchmark: sums.yaml", "benchmark: quickstart/ja-everyday-100", UsageError, r"evo.yaml:\d+: quickstart/ja-everyday-100: the test set of a known"),
        ("method: task_arithmetic", "method: model_stock", UsageError, r"evo.yaml:\d+: model_stock has no weights to search for; methods with weights: linear"),
        ("ja: {start: ja}", "ja: {start: ja, weight: 1}", UsageError, r"evo.yaml:\d+: the weight of 'ja' is searched for"),
        ("weight: [0, 1.5]", "weight: [0, 1.5], density: [0.1, 1]", UsageError, r"evo.yaml:\d+: task_arithmetic has no densities"),
        ("uniform: [0.5, 1.0]", "uniform: [2.0]", UsageError, r"evo.yaml:\d+: a uniform merge of weight 2, and weights are searched from 0 to 1.5"),
        ("rounds: 2", "rounds: 4", UsageError, r"evo.yaml:\d+: 'en': 3 items cannot be asked in 4 rounds"),
        ("uniform: [0.5, 1.0]", "normalize: true\n    uniform: [0]", UsageError, r"evo.yaml:\d+: a uniform merge of weight 0, and task_arithmetic divides by"),
        ("generations: 3", "generations: 0", UsageError, r"evo.yaml:\d+: 0 generations without gradient descent search for nothing"),
        (
            "fitness:\n      text: {text: ja, items: 6, chars: 40}\n      sums: {benchmark: sums.yaml,",
            "gradient: {steps: 2}\n    fitness:\n      text: {text: ja, weight: 0}\n      sums: {benchmark: sums.yaml, metric: score,",
            UsageError,
            r"evo.yaml:\d+: no measure with a weight is in bits_per_char, and a score has no gradient",
        ),
        ("population: 4", "population: 3", UsageError, r"evo.yaml:\d+: stages.best.population is 3: a number of at least 4"),
        ("text: ja, items", "text: jaa, items", UsageError, r"evo.yaml:\d+: no source 'jaa' \(did you mean 'ja'\?\)"),
        ("text: {text: ja,", "text: {text: ja, benchmark: sums.yaml,", UsageError, r"evo.yaml:\d+: .*give either 'benchmark' or 'text'"),
        ("start: en}\n    genome", "start: tok}\n    genome", UsageError, r"evo.yaml:\d+: no stage 'tok'"),
    ],
)
def test_problems_are_told_before_anything_runs(old, new, error, message, recipe):
    text = recipe.read_text(encoding="utf-8")
    assert old in text
    wrong = recipe.parent / "wrong" / "evo.yaml"
    wrong.parent.mkdir(exist_ok=True)
    for name in ("ja.jsonl", "en.jsonl", "sums.yaml", "sums.jsonl"):
        (wrong.parent / name).write_bytes((recipe.parent / name).read_bytes())
    wrong.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(error, match=message):
        load_recipe(wrong)


def test_a_score_counts_in_gradient_descent_too(recipe, trained, tmp_path):
    """The best step is one of the whole fitness, on the scale of the candidates after it."""
    settings = ["gradient={steps: 2, radius: 0.1}", "generations=1", "fitness.sums.metric=score", "fitness.sums.weight=30"]
    shutil.copytree(trained, tmp_path / "run")
    jp_adapt.run_recipe(load_recipe(recipe, [f"stages.best.{setting}" for setting in settings]), tmp_path / "run")
    found = Evolution.read(jp_adapt.open_run(tmp_path / "run").result("best") / EVOLUTION)
    uniform, by_gradient = found.model(found.best_uniform), found.model("gradient descent")
    assert found.candidates[0].fitness == pytest.approx(uniform.dev[FITNESS], rel=1e-4)
    assert min(entry.fitness for entry in found.candidates[:3]) == pytest.approx(by_gradient.dev[FITNESS], rel=1e-4)
    assert found.candidates[-1].best == pytest.approx(found.evolved.dev[FITNESS], rel=1e-4)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ("[self_atn]", "weight of 'ja': there is no tensor with 'self_atn' in its name in layers 0 to 0"),
        ("[mlp, down_proj]", "genome.modules: no tensor of layers 0 to 0 is left for 'down_proj'"),
    ],
)
def test_a_number_that_changes_no_tensor_is_refused(modules, message, recipe, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    with pytest.raises(UsageError, match=message):
        jp_adapt.run_recipe(load_recipe(recipe, [f"stages.best.genome={{groups: 2, modules: {modules}, weight: [0, 1.5]}}"]), tmp_path / "run")


def test_the_same_item_on_both_sides_is_refused(pico, trained, tmp_path):
    path = write_recipe(tmp_path / "twice", pico)
    (path.parent / "sums.jsonl").write_text((path.parent / "sums.jsonl").read_text(encoding="utf-8") * 2, encoding="utf-8")
    shutil.copytree(trained, tmp_path / "run")
    with pytest.raises(InputError, match="'sums': an item stands there twice"):
        jp_adapt.run_recipe(load_recipe(path), tmp_path / "run")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("stages.best.fitness.text.items=600", "stage 'best': ja has 20 documents, and the search is to ask 600 of them"),
        ("stages.best.fitness.text.items=19", "stage 'best': ja has 20 documents, and the search is to ask 19 of them; some must be asked, and at least 2"),
        ("stages.best.fitness.text.items=20", "stage 'best': ja has 20 documents, and the search is to ask 20 of them"),
        ("stages.best.fitness.sums.items=12", "sums.yaml has 12 items, and the search is to ask 12 of them"),
        ("stages.best.genome.groups=99", "stage 'best': 99 groups of layers, and the model has 2 layers"),
    ],
)
def test_what_the_search_would_refuse_is_told_before_the_parents_train(recipe, setting, said):
    load_recipe(recipe, [setting], need_files=False)
    with pytest.raises(UsageError, match=said):
        load_recipe(recipe, [setting])
