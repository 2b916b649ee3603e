"""What the candidates of an evolution are measured by: right answers and texts, parted into those that the search asks and those that it never sees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.items import LoadedBenchmark
from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.benchmarks.pictures import Picture
from jp_adapt.benchmarks.profiles import PROFILES
from jp_adapt.core.errors import InputError
from jp_adapt.core.hashes import sha256_json
from jp_adapt.core.progress import Advance
from jp_adapt.evaluation.prompts import Prompt, build_prompts
from jp_adapt.evaluation.run import run_benchmark
from jp_adapt.inference.answer import Continuation, Continued
from jp_adapt.inference.bits import answer_request
from jp_adapt.inference.model_folder import EvaluatedModel
from jp_adapt.inference.token_backend import Engine, TokenBackend, in_view
from jp_adapt.inference.trie import Request
from jp_adapt.merging.fitness import Objective
from jp_adapt.merging.search import split_items
from jp_adapt.recipe.evolve import EvolveSettings, Measure
from jp_adapt.recipe.evolve_sizes import too_few
from jp_adapt.recipe.stage_items import measured_benchmark

SCORE = "score"


@dataclass(frozen=True)
class Asked:
    """A benchmark as it is asked."""

    loaded: LoadedBenchmark
    protocol: Protocol
    prompts: list[Prompt]


@dataclass(frozen=True)
class MeasuredItems:
    """A measure with its items.

    Attributes:
        pairs: prompt and right answer of each item; of a text the documents, without a prompt.
        dev, heldout: numbers of the items that the search asks, and of those that it never does.
        asked: the benchmark; None for a text.
    """

    name: str
    settings: Measure
    pairs: list[tuple[str, str]]
    dev: list[int]
    heldout: list[int]
    asked: Asked | None = None

    @property
    def places(self) -> list[int]:
        """Of all items that the search asks, in `dev`."""
        return list(range(len(self.dev)))

    @property
    def objective(self) -> Objective:
        return Objective(self.name, len(self.dev), self.settings.weight, self.settings.guard)

    @property
    def title(self) -> str:
        return self.asked.loaded.benchmark.title if self.asked is not None else str(self.settings.text)

    @property
    def metric(self) -> str | None:
        """The benchmark's own metric, where it has one of each item."""
        if self.asked is None or METRICS[self.asked.protocol.primary_metric].whole_of is not None:
            return None
        return self.asked.protocol.primary_metric

    @property
    def identity(self) -> str:
        """Hash of what is asked."""
        shown = [[picture.sha256 for picture in self.pictures(item)] for item in range(len(self.pairs))]
        return sha256_json([self.pairs, self.dev, self.settings.metric, *([shown] if any(shown) else [])])

    @property
    def shows(self) -> bool:
        """Whether items have pictures."""
        return any(self.pictures(item) for item in range(len(self.pairs)))

    def pictures(self, item: int) -> tuple[Picture, ...]:
        return () if self.asked is None else self.asked.prompts[item].pictures

    def chars(self, item: int) -> int:
        return len(self.pairs[item][1])

    def losses(self, items: Sequence[int], bits: Sequence[float], scores: Sequence[float]) -> list[float]:
        """The loss of each item: what its score lacks to a perfect one; or its bits over the mean length of an item, so that the mean of all is bits per
        character."""
        if self.settings.metric == SCORE:
            return [1 - score for score in scores]
        return [value / self._mean_chars for value in bits]

    @property
    def _mean_chars(self) -> float:
        return math.fsum(map(self.chars, self.dev)) / len(self.dev)

    def bits_per_char(self, losses: Sequence[float], items: Sequence[int]) -> float:
        """Of items with these losses, by their own characters."""
        return math.fsum(losses) * self._mean_chars / sum(map(self.chars, items))


def load_measures(settings: EvolveSettings, texts: Mapping[str, Sequence[str]], seed: int) -> list[MeasuredItems]:
    """The measures of an evolution with their items; `texts`: documents of each source that is named.

    Raises:
        InputError: too few items to hold some out, or the same item on both sides. Else as of `measured_benchmark`.
    """
    return [_load(name, measure, texts, settings.data, seed) for name, measure in settings.fitness.items()]


def _load(name: str, measure: Measure, texts: Mapping[str, Sequence[str]], data: str | None, seed: int) -> MeasuredItems:
    loaded = measured_benchmark(measure, data)
    asked: Asked | None = None
    if loaded is None:
        assert measure.text is not None
        pairs = [("", document[: measure.chars]) for document in texts[measure.text]]
    else:
        protocol, prompts = build_prompts(loaded, "jp-adapt")
        asked = Asked(loaded, protocol, prompts)
        pairs = [(prompt.text, _right_answer(prompt)) for prompt in prompts]
    wanted = measure.items or len(pairs) // 2
    if (wrong := too_few(measure, len(pairs), "items")) is not None:
        raise InputError(f"'{name}': {wrong}")
    dev, heldout = split_items(len(pairs), 1 - wanted / len(pairs), seed)
    measured = MeasuredItems(name, measure, pairs, dev, heldout[: measure.heldout], asked)
    seen, unseen = ({(pairs[item], *(picture.sha256 for picture in measured.pictures(item))) for item in items} for items in (dev, heldout))
    if both := seen & unseen:
        raise InputError(f"'{name}': an item stands there twice, once among those that the search asks and once held out: {min(both)[0]!r:.120}; leave one out")
    return measured


def _right_answer(prompt: Prompt) -> str:
    return prompt.choices[prompt.item.answer] if prompt.choices and prompt.item.answer is not None else prompt.answers[0]


class _Beside:
    """An engine that scores `more` requests in the one pass that choices are scored in."""

    def __init__(self, engine: Engine, more: list[Request]) -> None:
        self.engine, self.more = engine, more
        self.nats: list[float] | None = None

    def log_likelihoods(self, requests: Sequence[Request], max_tokens: int, advance: Advance) -> list[float]:
        values = self.engine.log_likelihoods([*requests, *self.more], max_tokens, advance)
        self.nats = values[len(requests) :]
        return values[: len(requests)]

    def continue_prompts(self, requests: Sequence[Continuation], advance: Advance) -> Sequence[str | Continued]:
        return self.engine.continue_prompts(requests, advance)

    def take_warnings(self) -> list[str]:
        return self.engine.take_warnings()

    def again(self, *, one_at_a_time: bool) -> Engine:
        return _Beside(self.engine.again(one_at_a_time=one_at_a_time), self.more)


class Meter:
    """Measures a model that stays the same object while its weights change: what is asked is encoded once."""

    def __init__(self, model: EvaluatedModel, measures: Sequence[MeasuredItems]) -> None:
        self.model, self.measures = model, {measure.name: measure for measure in measures}
        self._requests: dict[tuple[str, int], Request] = {}

    def bits(self, items: Mapping[str, Sequence[int]]) -> dict[str, list[float]]:
        """Measure -> bits of the right answer (or of the text) of each item: one prefix tree of all."""
        asked = [(name, item) for name, numbers in items.items() for item in numbers]
        backend, nats = self.model.backend, list[float]()
        for group in in_view([self.measures[name].pictures(item) for name, item in asked]):
            with backend.looking():
                requests = [self.request(*asked[at]) for at in group]
                nats += backend.engine.log_likelihoods(requests, backend.max_tokens, lambda done, note: None)
        values = iter(nats)
        return {name: [-next(values) / math.log(2) for _ in numbers] for name, numbers in items.items()}

    def scores(self, name: str, items: Sequence[int]) -> list[float]:
        """The benchmark's own metric of each item, as a share of a perfect score."""
        return self.scores_and_bits(name, items)[0]

    def scores_and_bits(self, name: str, items: Sequence[int]) -> tuple[list[float], list[float]]:
        """The benchmark's own metric and the bits of the right answer of each item. Choices share the tree with them, and cost nothing more; not so where
        there are pictures."""
        measure, backend = self.measures[name], self.model.backend
        if measure.shows:
            return self._scores_by(backend, name, items), self.bits({name: items})[name]
        engine = _Beside(backend.engine, [self.request(name, item) for item in items])
        asked = TokenBackend(engine, backend.encode, starts=backend.starts, max_tokens=backend.max_tokens, render_chat=backend.render_chat)
        scores = self._scores_by(asked, name, items)
        nats = engine.nats if engine.nats is not None else backend.engine.log_likelihoods(engine.more, backend.max_tokens, lambda done, note: None)
        return scores, [-value / math.log(2) for value in nats]

    def _scores_by(self, backend: TokenBackend, name: str, items: Sequence[int]) -> list[float]:
        asked = self.measures[name].asked
        assert asked is not None
        prompts, metric = [asked.prompts[item] for item in items], asked.protocol.primary_metric
        outputs = run_benchmark(asked.loaded, asked.protocol, prompts, backend, PROFILES["jp-adapt"], lambda done, note: None)
        return [(output.scores[metric] or 0.0) / METRICS[metric].perfect for output in outputs]

    def losses(self, items: Mapping[str, Sequence[int]]) -> dict[str, list[float]]:
        """Measure -> the loss of each item, by the metric that the recipe says."""
        bits = self.bits({name: numbers for name, numbers in items.items() if self.measures[name].settings.metric != SCORE})
        scores = {name: self.scores(name, numbers) for name, numbers in items.items() if self.measures[name].settings.metric == SCORE}
        return {name: self.measures[name].losses(numbers, bits.get(name, ()), scores.get(name, ())) for name, numbers in items.items()}

    def request(self, name: str, item: int) -> Request:
        """The right answer to an item after its prompt (or a document from its beginning), encoded; of pictures, for as long as the backend looks."""
        if (name, item) in self._requests:
            return self._requests[name, item]
        measure, backend = self.measures[name], self.model.backend
        pictures, (prompt, answer) = measure.pictures(item), measure.pairs[item]
        request = answer_request(backend.encoder(pictures), prompt, answer, prefix=backend.starts.document)
        if not pictures:
            self._requests[name, item] = request
        return request


def dev_items(measures: Sequence[MeasuredItems], places: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Numbers of the items at places of each measure's dev list."""
    by_name = {measure.name: measure for measure in measures}
    return {name: [by_name[name].dev[place] for place in asked] for name, asked in places.items()}
