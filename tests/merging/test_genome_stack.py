"""Layers as genes: what stands in a stack, in which order, and how it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import UsageError
from jp_adapt.merging.genome_stack import LEFT_OUT, Group, StackGenome, runs, scales, spans
from jp_adapt.merging.settings import Place, value_at


def names(genome):
    return [entry.gene.name for entry in genome.genes]


def test_all_layers_of_all_models_stand_in_the_stack_as_often_as_asked():
    assert names(StackGenome(["ja", "en"], 1.5, layers=5, groups=2)) == ["ja.scale.0-1", "ja.scale.2-4", "en.scale.0-1", "en.scale.2-4"]
    assert names(StackGenome(["ja", "en"], 1.5, layers=4, groups=2, interleaved=True)) == ["ja.scale.0-1", "en.scale.0-1", "ja.scale.2-3", "en.scale.2-3"]
    twice = StackGenome(["ja"], 1.5, layers=2, groups=1, passes=2)
    assert names(twice) == ["ja.scale.0-1.pass1", "ja.scale.0-1.pass2"]
    assert twice.baselines == {"layers of ja": {"ja.scale.0-1.pass1": 1.0, "ja.scale.0-1.pass2": 0.0}}
    with pytest.raises(UsageError, match="3 groups of layers, and the model has 2 layers"):
        StackGenome(["ja"], 1.5, layers=2, groups=3)


@given(st.lists(st.floats(0, 1.5), min_size=12, max_size=12), st.booleans())
def test_what_is_written_is_never_nothing_and_leaves_out_what_adds_little(numbers, interleaved):
    genome = StackGenome(["ja", "en"], 1.5, layers=7, groups=3, passes=2, interleaved=interleaved)
    written = genome.written(dict(zip(names(genome), numbers, strict=True)))
    assert all(value == 0 or value >= LEFT_OUT for value in written.values())
    assert genome.written(written) == written
    kept = [group for group in genome.stack(written) if group.scale]
    assert kept
    assert len(genome.layers_in(written)) == sum(group.length for group in kept)
    assert [layer for _, span in runs(kept) for layer in range(*span)] == [layer for group in kept for layer in range(*group.layers)]


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=6, max_size=6))
def test_the_settings_of_a_stack_scale_the_outputs_of_its_own_layers(numbers):
    genome = StackGenome(["ja", "en"], 1.5, layers=7, groups=3, interleaved=True)
    values = dict(zip(names(genome), numbers, strict=True))
    settings = genome.settings(values)
    for group, (first, end), name in zip(genome.stack(values), spans(genome.stack(values)), names(genome), strict=True):
        for layer in range(first, end):
            for module, expected in (("self_attn.o_proj", group.scale), ("mlp.down_proj", group.scale), ("mlp.up_proj", 1.0)):
                place = Place(f"model.layers.{layer}.{module}.weight", layer, 0.0)
                own = settings.get(group.model, {}).get("scale")
                assert (1.0 if own is None else value_at(own, place)) == expected
                assert genome.changes(place) == (module != "mlp.up_proj")
            assert genome.gene_at(group.model, "scale", Place(f"model.layers.{layer}.mlp.down_proj.weight", layer, 0.0)) == name


def test_layers_that_follow_each_other_are_one_slice():
    groups = [Group("ja", (0, 2), 1.0), Group("ja", (2, 4), 0.5), Group("en", (4, 6), 1.0), Group("ja", (4, 6), 1.0)]
    assert runs(groups) == [("ja", (0, 4)), ("en", (4, 6)), ("ja", (4, 6))]
    assert scales(groups[:1]) == {}  # layers as they are
