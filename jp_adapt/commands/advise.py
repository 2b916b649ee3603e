"""`advise`: does an extension pay, and how large should it be? What is measured, what it costs, and what may be expected (docs/does-it-pay.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jp_adapt.commands.tokenizer import ExtendOptions, local_tokenizer, measured_alone, sweep
from jp_adapt.commands.tokenizer_sizes import SizeRow, SizesReport
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.given import above_zero, at_least, several
from jp_adapt.core.names import distinct_tails
from jp_adapt.model.architectures import KNOWN, Architecture, from_folder
from jp_adapt.model.expected_bits import SCALE, Expected, expected_gap, expected_own, tokens_to_meet
from jp_adapt.model.plan import Device, Workload, flops_per_token, hours
from jp_adapt.model.this_machine import find_device
from jp_adapt.report.advice import AdviceReport, AdviceRow
from jp_adapt.report.written import plural
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import check_extendable
from jp_adapt.tokenizer.measurable import load_measurable

SIZES = (500, 1_000, 2_000, 4_000, 8_000, 16_000)
MOST_RARE = 0.1  # of the new tokens: share that may stand rarely in the training
MOST_EPOCHS = 4  # after which a repetition teaches less than new text (Muennighoff et al. 2023, "Scaling Data-Constrained Language Models")
LEAST_GAIN = 1.03  # characters per token over the next smaller extension
FEW_CHARS = 10_000  # held out; less says little
WORTHWHILE = 1.2  # characters per token over the base; Llama-3 with 10,000 tokens gains 1.17, and the Japanese models made of it keep its tokenizer
LORA_RANK = 32
SEQUENCE_TOKENS = 1024
SEQUENCES = 16  # of a step


@dataclass(frozen=True)
class AdviceOptions:
    """What `advise` may be told besides base and corpora.

    Attributes:
        budget_tokens: that the training will read, over all epochs; or budget_hours: that it will last, on `devices` devices `device`.
        model: folder with a config.json, or hub id of known sizes, whose tokenizer the base is; by default the base's own folder.
        device: one of `model.plan.DEVICES`; None is the machine at hand.
        price: of one device for one hour, in `currency`.
        serve_chars_per_day: Japanese characters that the model will read and write a day.
        base_bits: bits per character that the base has on text like the corpus, so that expected bits are no shares.
        sizes: numbers of new tokens; by default `SIZES`, as far as the corpus gives them.
    """

    budget_tokens: int | None = None
    budget_hours: float | None = None
    model: str | None = None
    device: str | None = None
    devices: int = 1
    price: float | None = None
    currency: str = "USD"
    serve_chars_per_day: int | None = None
    base_bits: float | None = None
    sizes: tuple[int, ...] | None = None
    field: str = "text"
    heldout: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Costs:
    """The model and the devices that it trains and serves on."""

    architecture: Architecture
    name: str
    device: Device
    devices: int

    def work(self, new_tokens: int, tokens: int) -> Workload:
        return Workload(self.architecture, new_tokens, LORA_RANK, SEQUENCE_TOKENS, SEQUENCES, tokens, devices=self.devices)

    def tokens(self, new_tokens: int, lasting_hours: float) -> int:
        """Tokens that go through the training in that time."""
        speed = self.devices * self.device.peak_flops * self.device.mfu / flops_per_token(self.work(new_tokens, 1))
        return int(lasting_hours * 3600 * speed)

    def training_hours(self, new_tokens: int, tokens: int) -> float:
        return self.devices * hours(self.work(new_tokens, tokens), self.device)

    def serving_hours(self, new_tokens: int, tokens: float) -> float:
        """Of one device, for `tokens`: a forward pass each."""
        model = self.architecture
        operations = 2 * (model.linear_parameters + (model.vocab_size + new_tokens) * model.hidden_size)
        return tokens * operations / (self.device.peak_flops * self.device.mfu) / 3600


def advise(base: str, corpora: str | Sequence[str], options: AdviceOptions) -> AdviceReport:
    """Measure extensions of several sizes, and say which one pays, or that none does. Nothing is written.

    Args:
        base: folder or file of a tokenizer, or ORG/NAME@REVISION of the hub; of one that cannot be extended that is the advice.
        corpora: files of Japanese text like that of the training.

    Raises:
        UsageError: a number out of its bounds, not one budget, or one in hours without the sizes of the model. InputError: as of `tokenizer.extend`.
    """
    _check(options)
    corpora = several(corpora)
    costs = _costs(base, options)
    if (options.budget_tokens is None) == (options.budget_hours is None):
        raise UsageError("give one of --budget-tokens N and --budget-hours H")
    budget = _Budget(options, costs)
    reason = _not_extendable(base)
    learning = ExtendOptions(field=options.field, heldout=options.heldout)
    if reason is not None:
        measured = measured_alone(base, corpora, learning)
    else:
        measured = sweep(base, corpora, options.sizes or SIZES, learning, budget=budget.tokens, as_far_as_given=options.sizes is None)
    rows = list(_rows(measured, budget, costs, options))
    chosen = recommended(rows) if reason is None else None
    report = AdviceReport(
        base=distinct_tails([base])[0],
        heldout_documents=measured.heldout_documents,
        heldout_chars=measured.heldout_chars,
        corpus_chars=measured.corpus_chars,
        rare_below=measured.rare_below,
        rows=rows,
        recommended=chosen.new_tokens if chosen else 0,
        advice=[],
        fitted_to=SCALE,
        device=costs.name if costs else None,
        devices=options.devices,
        currency=options.currency if options.price is not None and costs else None,
        serve_chars_per_day=options.serve_chars_per_day,
        base_bits=options.base_bits,
    )
    return replace(report, advice=list(advice(report, reason)))


def _check(options: AdviceOptions) -> None:
    """UsageError for a number that says nothing."""
    for name in ("budget_tokens", "devices", "serve_chars_per_day"):
        at_least(name, getattr(options, name), 1)
    for name in ("budget_hours", "base_bits"):
        above_zero(name, getattr(options, name))
    at_least("price", options.price, 0)
    if options.sizes is not None and not options.sizes:
        raise UsageError("sizes names none; give numbers of new tokens, or None for the default")
    for size in options.sizes or ():
        at_least("a size", size, 1)


@dataclass(frozen=True)
class _Budget:
    options: AdviceOptions
    costs: _Costs | None

    def tokens(self, new_tokens: int) -> int:
        """Tokens that a training with so many new ones reads."""
        if self.options.budget_tokens is not None:
            return self.options.budget_tokens
        assert self.costs is not None
        assert self.options.budget_hours is not None
        return self.costs.tokens(new_tokens, self.options.budget_hours)


def _costs(base: str, options: AdviceOptions) -> _Costs | None:
    """None where the sizes of the model are not known, and nothing was asked that needs them."""
    named = options.model or base
    folder = Path(named)
    if (folder / "config.json").is_file():
        architecture: Architecture | None = from_folder(folder)
    else:
        architecture = KNOWN.get(named.partition("@")[0])
    name, device = find_device(options.device)
    if architecture is None:
        known = ", ".join(KNOWN)
        if options.model is not None:
            raise InputError(f"--model {options.model}: no folder with a config.json, and no hub id whose sizes are known: {known}")
        needing = {
            "--budget-hours": options.budget_hours,
            "--device": options.device,
            "--price": options.price,
            "--serve-chars-per-day": options.serve_chars_per_day,
        }
        if given := [option for option, value in needing.items() if value is not None]:
            raise UsageError(f"{' and '.join(given)} needs the sizes of the model: give --model FOLDER (its config.json is read) or a known hub id: {known}")
        return None
    return _Costs(architecture, name, device, options.devices)


def _not_extendable(base: str) -> str | None:
    """Why a tokenizer cannot be extended; None where it can."""
    path = local_tokenizer(base)
    tokenizer = load_measurable(path)
    if not isinstance(tokenizer, BpeTokenizer):
        return f"{tokenizer.family} cannot be extended"
    try:
        check_extendable(tokenizer, str(path))
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    return None


def _rows(measured: SizesReport, budget: _Budget, costs: _Costs | None, options: AdviceOptions) -> Iterator[AdviceRow]:
    base = _row(SizeRow(0, measured.base_chars_per_token, 0, 0), budget, costs, options)
    yield base
    for size in measured.rows:
        row = _row(size, budget, costs, options)
        saved = (base.serving_hours or 0.0) - (row.serving_hours or 0.0)
        days = row.training_hours / saved if row.training_hours is not None and saved > 0 else None
        yield replace(row, pays_after_days=days)


def _row(size: SizeRow, budget: _Budget, costs: _Costs | None, options: AdviceOptions) -> AdviceRow:
    tokens = budget.tokens(size.new_tokens)
    training = costs.training_hours(size.new_tokens, tokens) if costs else None
    served = options.serve_chars_per_day
    serving = costs.serving_hours(size.new_tokens, served / size.chars_per_token) if costs and served else None
    price = options.price
    return AdviceRow(
        new_tokens=size.new_tokens,
        chars_per_token=size.chars_per_token,
        rare_in_training=size.rare_in_budget or 0,
        training_tokens=tokens,
        training_chars=int(tokens * size.chars_per_token),
        training_hours=training,
        training_cost=None if price is None or training is None else price * training,
        serving_hours=serving,
        serving_cost=None if price is None or serving is None else price * serving,
        bits=_bits(size.new_tokens, tokens, budget.tokens(0), options.base_bits),
    )


def _bits(new_tokens: int, tokens: int, own_tokens: int, base_bits: float | None) -> Expected | None:
    """Expected bits per character after the training, of those before or as they are; None where either line ends."""
    own = expected_own(own_tokens)
    gap = expected_gap(tokens, new_tokens) if new_tokens else Expected(0.0, 0.0, 0.0, False)
    if own is None or gap is None:
        return None
    scaled = own.times(base_bits or 1.0)
    low, high = scaled.low * (1 + gap.low), scaled.high * (1 + gap.high)
    return Expected(scaled.value * (1 + gap.value), low, high, own.extrapolated or gap.extrapolated)


def recommended(rows: Sequence[AdviceRow]) -> AdviceRow | None:
    """The largest extension that the training teaches, where that gains enough over the base (the first row); else None."""
    row = _taught(rows)
    return row if row is not None and row.chars_per_token >= WORTHWHILE * rows[0].chars_per_token else None


def _taught(rows: Sequence[AdviceRow]) -> AdviceRow | None:
    """The largest extension with few rare tokens in the training, as long as each step gains over the one before."""
    chosen, gain = None, rows[0].chars_per_token
    for row in rows[1:]:
        if row.rare_in_training > MOST_RARE * row.new_tokens or row.chars_per_token < LEAST_GAIN * gain:
            break
        chosen, gain = row, row.chars_per_token
    return chosen


def advice(report: AdviceReport, reason: str | None = None) -> Iterator[str]:
    """The recommendation in words, a sentence or two at a time; `reason`: why the base cannot be extended."""
    base = report.rows[0]
    if reason is not None:
        yield f"Do not extend: {reason}. It reads {base.chars_per_token:.2f} characters per token."
        return
    if report.heldout_chars < FEW_CHARS:
        yield f"Measured on {report.heldout_chars:,} characters only: bring more text, or name files with --heldout."
    row = next((row for row in report.rows if row.new_tokens and row.new_tokens == report.recommended), None)
    if row is None:
        yield from _why_not(report.rows)
        return
    gain = row.chars_per_token / base.chars_per_token
    yield (
        f"{row.new_tokens:,} new tokens: {base.chars_per_token:.2f} -> {row.chars_per_token:.2f} characters per token, "
        f"so a text takes {1 - 1 / gain:.0%} fewer tokens."
    )
    if row == report.rows[-1]:
        yield "This is the largest number that was measured; try larger ones with --sizes."
    yield _expectation(row)
    if row.pays_after_days is not None:
        yield f"Serving pays for the whole training after {row.pays_after_days:,.1f} days."
    if (times := row.training_chars / report.corpus_chars) > MOST_EPOCHS:
        yield (
            f"Where this corpus is all the text there is, the training reads it {times:,.0f} times, and after some {MOST_EPOCHS} times "
            "repetition teaches less than new text would: bring more, or train for less."
        )
    yield f"Evidence: {report.fitted_to} (docs/does-it-pay.md). Other models and longer trainings were not measured: measure both."


def _why_not(rows: Sequence[AdviceRow]) -> Iterator[str]:
    base, smallest, largest = rows[0], rows[1], rows[-1]
    taught = _taught(rows)
    if taught is None and smallest.chars_per_token >= LEAST_GAIN * base.chars_per_token:
        yield f"Do not extend: {plural(smallest.training_tokens, 'token')} of training hold too few of even the {smallest.new_tokens:,} best new tokens."
        if largest is not smallest:
            yield (
                "If you extend all the same, for speed, take many tokens: after 55,000 tokens of training 6,000 predicted as well as 500 (docs/does-it-pay.md)."
            )
        return
    row = taught or smallest
    yield (
        f"Do not extend: the base reads {base.chars_per_token:.2f} characters per token, and the {row.new_tokens:,} new tokens that such a training teaches "
        f"make that {row.chars_per_token:.2f}, so a text would take only {1 - base.chars_per_token / row.chars_per_token:.0%} fewer tokens."
    )


def _expectation(row: AdviceRow) -> str:
    """How the extension is expected to predict Japanese beside the base's own tokenizer after the same time."""
    gap = expected_gap(row.training_tokens, row.new_tokens)
    to_meet = tokens_to_meet(row.new_tokens)
    meet = f"level after some {float(f'{to_meet:.1e}'):,.0f} tokens, by extrapolation"
    if gap is None:
        which = "may be ahead in quality too" if row.training_tokens > to_meet else "will predict Japanese worse than the base's own tokenizer"
        return f"After such a training the extension {which}; no training like it was measured, so no figure is given ({meet})."
    shown = f"{100 * gap.value:+.0f} % bits per character beside the base's own tokenizer after the same time, [{100 * gap.low:+.0f}, {100 * gap.high:+.0f}]"
    if gap.low > 0:
        return f"It will predict Japanese worse than the base's own tokenizer: {shown} ({meet}). Extend for speed alone."
    if gap.high < 0:
        return f"It will predict Japanese better: {shown} ({meet})."
    return f"Which of the two will predict Japanese better cannot be told: {shown} ({meet})."
