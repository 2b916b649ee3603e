"""The gradient of a genome is what the losses themselves say when one of its numbers moves a little."""

from __future__ import annotations

import pytest

from jp_adapt.commands import evolve_gradients
from jp_adapt.commands.evolve import EvolveTask, _setup
from jp_adapt.commands.evolve_candidates import Candidates
from jp_adapt.commands.evolve_genome import genome_of
from jp_adapt.commands.evolve_gradients import STEP, slopes
from jp_adapt.commands.evolve_measures import load_measures
from jp_adapt.commands.merge_parents import open_models
from jp_adapt.recipe.evolve import EvolveSettings
from jp_adapt.recipe.merge import ModelSettings
from tests.conftest import documents
from tests.merging.models import extended, tuned

TEXTS = {"ja": documents("ja_train.jsonl")[:6], "en": documents("en_train.jsonl")[:4]}
GENOME = {"groups": 2, "modules": ["self_attn", "mlp"], "weight": [0, 2]}
NEAR = (-0.01, 0.01)
THREE = ("base", "ja", "math")


@pytest.fixture(scope="module")
def folders(pico, tmp_path_factory):
    """A base, two models tuned from it, and one with Japanese tokens of its own."""
    root = tmp_path_factory.mktemp("tuned")
    return {"base": pico, "ja": tuned(pico, root / "ja", 1), "math": tuned(pico, root / "math", 2), "longer": extended(pico, root / "longer", 3)}


def candidates_of(folders, root, **settings):
    merge = EvolveSettings.model_validate(
        {"method": "task_arithmetic", "genome": GENOME, "fitness": {"ja": {"text": "ja", "chars": 60}, "en": {"text": "en", "weight": 0, "items": 1}}}
        | settings
    )
    models = {name: ModelSettings() for name in folders}
    task = EvolveTask("test", {name: (folder, None) for name, folder in folders.items()}, merge, models, TEXTS, precision="float32")
    return Candidates(_setup(task, genome_of(merge, open_models(task.folders)), load_measures(merge, TEXTS, 0), root))


def losses(candidates, values, name):
    return candidates(values, {name: range(len(candidates.meter.measures[name].dev))})[name]


@pytest.mark.parametrize(
    ("settings", "models", "moved", "tolerance"),
    [
        ({"base": "base"}, THREE, NEAR, 0.05),
        ({"base": "base"}, ("base", "ja", "longer"), NEAR, 0.05),  # another vocabulary
        ({"method": "linear", "genome": GENOME | {"modules": []}}, ("ja", "math"), NEAR, 0.05),  # divided by the sum of the weights
        ({"method": "ties", "base": "base", "normalize": False}, THREE, (0.0, STEP), 0.25),  # elections turn, and the loss jumps
    ],
)
def test_slopes_are_those_of_the_losses(settings, models, moved, tolerance, folders, tmp_path):
    candidates = candidates_of({name: folders[name] for name in models}, tmp_path / "work", **settings)
    values = {entry.gene.name: 0.6 + 0.1 * place for place, entry in enumerate(candidates.setup.genome.genes)}
    own, found = slopes(candidates, values, "ja")
    assert own == pytest.approx(losses(candidates, values, "ja"), rel=1e-5)
    assert found.keys() == values.keys()
    largest = max(map(abs, found.values()))
    assert largest > 1e-3
    for name, slope in found.items():
        before, after = (sum(losses(candidates, values | {name: values[name] + step}, "ja")) / len(own) for step in moved)
        assert slope == pytest.approx((after - before) / (moved[1] - moved[0]), abs=tolerance * largest), name


def test_the_batches_change_nothing(folders, tmp_path, monkeypatch):
    candidates = candidates_of({name: folders[name] for name in THREE}, tmp_path / "work", base="base")
    values = candidates.setup.genome.uniform(0.5)
    own, found = slopes(candidates, values, "ja")
    monkeypatch.setattr(evolve_gradients, "BATCH_TOKENS", 1)  # one text each
    one_by_one, same = slopes(candidates, values, "ja")
    assert one_by_one == pytest.approx(own, rel=1e-5)
    assert same == pytest.approx(found, rel=1e-3, abs=1e-6)


def test_a_text_longer_than_the_model_reads_is_read_in_windows(folders, tmp_path, monkeypatch):
    candidates = candidates_of({name: folders[name] for name in THREE}, tmp_path / "work", base="base")
    values = candidates.setup.genome.uniform(0.5)
    monkeypatch.setattr(candidates.model.backend, "max_tokens", 24)
    own, _ = slopes(candidates, values, "ja")
    assert own == pytest.approx(losses(candidates, values, "ja"), rel=1e-5)


def test_nothing_is_left_behind(folders, tmp_path):
    candidates = candidates_of({name: folders[name] for name in THREE}, tmp_path / "work", base="base")
    slopes(candidates, candidates.setup.genome.uniform(0.5), "en")
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in candidates.parameters.values())
