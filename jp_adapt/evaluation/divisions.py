"""How peers divide data into items and examples: llm-jp-eval (its src/llm_jp_eval/datasets/*.py) shuffles by `random.Random(42)` and cuts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from jp_adapt.benchmarks.benchmark import Division
from jp_adapt.benchmarks.items import Item
from jp_adapt.core.errors import InputError

Divided = tuple[list[Item], list[Item]]
SEED = 42
KEPT = 32  # records that become examples where the data has no split of them
# The subjects of JMMLU in the order in which 1.3.0 reads them: one generator shuffles them all, so that the order decides.
JMMLU = """
econometrics human_aging high_school_psychology professional_medicine electrical_engineering college_mathematics medical_genetics formal_logic
nutrition prehistory world_religions japanese_history high_school_geography international_law logical_fallacies human_sexuality philosophy
college_medicine professional_accounting high_school_mathematics global_facts business_ethics high_school_chemistry college_physics
high_school_statistics moral_disputes high_school_biology miscellaneous high_school_macroeconomics high_school_computer_science abstract_algebra
elementary_mathematics jurisprudence security_studies high_school_physics college_computer_science public_relations management computer_security
college_chemistry anatomy high_school_european_history machine_learning virology high_school_microeconomics astronomy world_history college_biology
clinical_knowledge conceptual_physics professional_psychology sociology marketing
""".split()  # noqa: SIM905 (53 lines, one for each, say no more)


def divided(items: Sequence[Item], pool: Sequence[Item], division: Division | None) -> Divided:
    """(items that are measured, records that examples are taken from). InputError where too few records are left to measure any."""
    if division is None:
        return list(items), list(pool)
    measured, examples = DIVISIONS[division](items, pool)
    if not measured:
        raise InputError(f"{len(items)} records leave none to measure, as {division} divides them; is the benchmark's repository complete?")
    return measured, examples


def _training(items: Sequence[Item], pool: Sequence[Item]) -> Divided:
    """The first nine tenths of the training split, shuffled, are the examples."""
    shuffled = _shuffled(random.Random(SEED), pool)
    return list(items), shuffled[: len(shuffled) * 9 // 10]


def _jcola_out_of_domain(items: Sequence[Item], pool: Sequence[Item]) -> Divided:
    """There is a validation split alone: the first 32, shuffled, are the examples, and the second half of the others is measured."""
    shuffled = _shuffled(random.Random(SEED), items)
    return shuffled[KEPT + max(0, len(shuffled) - KEPT) // 2 :], shuffled[:KEPT]


def _jmmlu(items: Sequence[Item], pool: Sequence[Item]) -> Divided:
    """The second half of each subject is measured; of both halves, shuffled over all subjects, the first 16 are the examples."""
    generator = random.Random(SEED)
    subjects: dict[str, list[Item]] = {subject: [] for subject in JMMLU}
    for item in items:
        if item.group not in subjects:
            raise InputError(f"'{item.group}' is no subject of JMMLU in llm-jp-eval 1.3.0, which this profile divides as it does")
        subjects[item.group].append(item)
    halves: Divided = [], []
    for members in subjects.values():
        shuffled = _shuffled(generator, members)
        halves[0].extend(shuffled[: len(shuffled) // 2])
        halves[1].extend(shuffled[len(shuffled) // 2 :])
    development, tested = (_shuffled(generator, half) for half in halves)
    return tested[KEPT // 2 :], development[: KEPT // 2] + tested[: KEPT // 2]


def _first_of_picture(items: Sequence[Item], pool: Sequence[Item]) -> Divided:
    """The first question of each picture, as Sakana takes JA-VG-VQA-500 (evomerge/eval/ja_vg_vqa.py)."""
    first: dict[tuple[str, ...], Item] = {}
    for item in items:
        first.setdefault(tuple(picture.sha256 for picture in item.pictures), item)
    return list(first.values()), list(pool)


def _shuffled(generator: random.Random, items: Sequence[Item]) -> list[Item]:
    shuffled = list(items)
    generator.shuffle(shuffled)
    return shuffled


DIVISIONS: dict[Division, Callable[[Sequence[Item], Sequence[Item]], Divided]] = {
    "first-of-picture": _first_of_picture,
    "llm-jp-eval": _training,
    "llm-jp-eval-jcola-out-of-domain": _jcola_out_of_domain,
    "llm-jp-eval-jmmlu": _jmmlu,
}
