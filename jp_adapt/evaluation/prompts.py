"""Prompts: what a protocol makes of an item, as texts. Tokens come later, in the engine."""

from __future__ import annotations

from dataclasses import dataclass

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.items import Item, LoadedBenchmark, chosen_examples, protocol_of
from jp_adapt.benchmarks.pictures import MARK, Picture
from jp_adapt.benchmarks.templates import Fields, render
from jp_adapt.core.errors import UsageError
from jp_adapt.evaluation.divisions import divided
from jp_adapt.evaluation.sampling import draw_items
from jp_adapt.evaluation.shots import with_shots


@dataclass(frozen=True)
class Prompt:
    """An item as it is asked: the text before the answer, the texts of its choices (with the delimiter), the right answers, the pictures in the text."""

    item: Item
    text: str
    choices: list[str]
    answers: list[str]
    pictures: tuple[Picture, ...] = ()


def build_prompts(
    loaded: LoadedBenchmark, profile: str, *, shots: int | None = None, limit: int | None = None, seed: int = 0, variant: str | None = None
) -> tuple[Protocol, list[Prompt]]:
    """The prompts of a benchmark under a profile; `shots` overrides the protocol's, `variant` takes another wording.

    With `limit`, those of a sample of the items that `seed` draws (see `sampling`); each has the examples that it has among all items.
    """
    protocol = protocol_of(loaded.id, loaded.benchmark, profile)
    if variant is not None:
        other = protocol.variants[variant]
        changes = {"prompt": other.prompt} | ({"description": other.description} if other.description is not None else {})
        protocol = protocol.model_copy(update=changes)
    if shots is not None:
        protocol = protocol.model_copy(update={"shots": shots})
    items, pool = divided(loaded.items, loaded.shots, protocol.division)
    sample = None if limit is None else {item.id for item in draw_items(items, limit, seed, equal_groups=loaded.benchmark.averages_groups(protocol))}
    rule = "first" if protocol.examples or protocol.division else loaded.benchmark.rules(profile).shots
    pool = chosen_examples(loaded, protocol) or pool
    same = loaded.benchmark.data.shots == loaded.benchmark.data.test
    chosen = with_shots(items, pool, protocol.shots, rule, by_group=protocol.shots_by_group, stratified=protocol.stratified, same=same)
    return protocol, [_prompt(protocol, item, examples) for item, examples in chosen if sample is None or item.id in sample]


def _prompt(protocol: Protocol, item: Item, examples: list[Item]) -> Prompt:
    fields = fields_of(protocol, item)
    text = render(protocol.description, fields | {"_shots": len(examples)})
    for example in examples:
        seen = fields_of(protocol, example)
        text += render(protocol.shot_prompt or protocol.prompt, seen) + protocol.delimiter + target_of(protocol, example, seen) + protocol.separator
    choices = [protocol.delimiter + protocol.choices_prefix + choice for choice in fields["choices"]]
    text += render(protocol.prompt, fields)
    pictures = tuple(picture for shown in (*examples, item) for picture in shown.pictures)
    if pictures and protocol.kind != "judge" and text.count(MARK) != len(pictures):
        raise UsageError(f"item {item.id}: its prompt shows {text.count(MARK)} of {len(pictures)} pictures; write {{{{ image }}}} or {{{{ images }}}} in it")
    return Prompt(item, text, choices, fields["answers"], pictures)


def fields_of(protocol: Protocol, item: Item) -> Fields:
    """The fields of an item as the protocol's templates see them: with the protocol's own choices and answers."""
    fields = item.fields
    kind = protocol.kind
    if protocol.choices is not None:
        fields = fields | {"choices": [render(template, fields) for template in protocol.choices]}
    elif kind is not None and kind not in ("multiple_choice", "acceptability"):  # a generated answer has no choices, but may have been asked to name one
        fields = fields | {"choices": [], "options": fields["choices"]}
    if protocol.answers is not None:
        fields = fields | {"answers": [render(template, item.fields) for template in protocol.answers]}
    return fields


def target_of(protocol: Protocol, item: Item, fields: Fields) -> str:
    """The answer that an example shows."""
    if protocol.target is not None:
        return render(protocol.target, fields)
    if fields["choices"] and item.answer is not None:
        return protocol.choices_prefix + str(fields["choices"][item.answer])
    return str(fields["answers"][0])
