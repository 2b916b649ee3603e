"""One arm of the quality benchmark trains for a given time in a process of its own, and writes one JSON file when it has finished.

    python -m tests.perf.quality_arms '{"name": "extended", "base": "...", ...}' out.json

The clock runs while training steps run, and while new rows are calibrated: not while the model loads, texts are encoded, held-out text is measured or
anything is saved. On a CPU it counts processor time of this process, which other work on the machine does not spend; on a GPU it is the wall's.
Learning rates are a function of the time that has passed, for every arm in the same shape (5 % warm-up, cosine to 5 %), so that a schedule ends where
the time does. With `--turns` an arm writes its clock to stdout before each step and waits for a line on stdin, so that somebody can let several take
turns.

"ours" trains LoRA and, on an extended tokenizer, new rows as parameters of their own, calibrated as in a recipe; with `rows_share`, first the rows
alone. "peer" is what the documentation of transformers and peft has for a larger vocabulary: the embedding resized, its new rows the mean of their
pieces (ours before calibration), LoRA with `modules_to_save` on the whole embedding and head, kept in float32 (AdamW on bfloat16 weights loses small
steps), transformers' Trainer in bfloat16, documents laid end to end and cut into blocks as run_clm.py does.
"""

from __future__ import annotations

import json
import math
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from jp_adapt.core.files import read_json, write_json
from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import Batch, Plan
from jp_adapt.corpus.sources import first_chars
from jp_adapt.inference.bits import score_texts
from jp_adapt.model.architectures import from_folder
from jp_adapt.model.causal import CausalModel, NewRows, load_base, resolve_precision
from jp_adapt.model.lora import LoraSettings
from jp_adapt.model.rows import init_new_rows
from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer
from jp_adapt.training.first_rows import calibrate_rows
from jp_adapt.training.loop import TrainSettings, train
from jp_adapt.training.schedule import lr_factor
from tests.perf.tokenizer_data import read_corpora, read_jsquad

HELDOUT_JA, HELDOUT_EN = "rust_book_ja", "debian_policy_en"  # in no arm's training text, nor in the tokenizer's
EVERYDAY = Path(__file__).resolve().parents[2] / "recipes" / "data" / "quickstart" / "ja_heldout.jsonl"
DOCUMENT_START = "<|endoftext|>"
LENGTH = 512  # tokens in a row
TURN = "turn "  # begins the line that says how far the clock of an arm is
LR, ROWS_STAGE_LR = 1e-3, 5e-3
MOST_TOKENS_PER_S = 2_000 if not torch.cuda.is_available() else 100_000  # of the plan; a faster arm begins it again
MOST_CHARS_PER_TOKEN = 4  # of what is encoded; a tokenizer that takes more at once reads some documents twice
GUESSED_STEP_S = 5.0
clock = time.monotonic if torch.cuda.is_available() else time.process_time
SCHEDULE: dict[str, Any] = {"schedule": "cosine", "warmup_share": 0.05, "decay_share": 0.2, "final_share": 0.05}


@dataclass(frozen=True)
class Arm:
    """What one process does.

    Attributes:
        tokenizer: folder of the extended tokenizer with its extension.json; "" for that of the base.
        rows_lr_ratio: learning rate of new rows over that of LoRA, once both train.
        rows_share: share of the time in which new rows train alone.
        replay: share of English in the tokens.
        lr: of LoRA and, at the peer, of everything.
        rows_per_step: of 512 tokens each.
        new_rows_eps, new_rows_whitening, shared_rows_lr: as in a recipe.
        calibrated: whether ours begins with calibrated rows, or with the mean of their pieces.
        steps: how many ours takes, whatever their time; 0 for as many as the time allows.
    """

    name: str
    base: str
    seconds: float
    tokenizer: str = ""
    method: Literal["ours", "peer"] = "ours"
    rank: int = 32
    rows_lr_ratio: float = 2.0
    rows_share: float = 0.0
    replay: float = 0.1
    lr: float = LR
    rows_per_step: int = 4
    new_rows_eps: float = 0.2
    new_rows_whitening: bool = False
    shared_rows_lr: float | None = None
    calibrated: bool = True
    steps: int = 0
    seed: int = 1234
    precision: str = "auto"
    points: int = 10  # held-out measurements after the first
    heldout_chars: int = 10_000


@dataclass(frozen=True)
class Texts:
    """Training documents as ids, in a plan, and held-out text."""

    encode: Callable[[str], list[int]]
    prefix: int
    plan: Plan
    chars_per_token: float
    ja: dict[str, list[str]]  # technical, encyclopedic, everyday
    en: list[str]


def read_texts(arm: Arm) -> Texts:
    """What an arm reads: sources weighted by their size, English at `replay`; held-out text is the beginnings of documents from all over its source."""
    tokenizer = plain_tokenizer(Path(arm.tokenizer or arm.base))
    encode, prefix = encoder(tokenizer), tokenizer.token_to_id(DOCUMENT_START)
    sources: dict[str, tuple[list[list[int]], float]] = {}
    chars: dict[str, int] = {}
    heldout: dict[str, list[str]] = {}
    budget = int(max(1, arm.seconds) * MOST_TOKENS_PER_S)
    for language, left_out, share in (("ja", HELDOUT_JA, 1 - arm.replay), ("en", HELDOUT_EN, arm.replay)):
        corpora = read_corpora(language)
        heldout[language] = beginnings(corpora.pop(left_out), arm.heldout_chars)
        total = sum(len(text) for texts in corpora.values() for text in texts)
        for name, documents in corpora.items() if share else ():
            weight = share * sum(map(len, documents)) / total
            random.Random(arm.seed).shuffle(documents)
            texts = first_chars(documents, int(MOST_CHARS_PER_TOKEN * budget * weight))
            ids = [list(item.ids) for item in tokenizer.encode_batch(texts, add_special_tokens=False)]
            sources[name], chars[name] = (ids, weight), sum(map(len, texts))
    plan = plan_training(sources, prefix=prefix, length=LENGTH, rows_per_step=arm.rows_per_step, seed=arm.seed, tokens=budget)
    per_token = {name: chars[name] / sum(map(len, ids)) for name, (ids, _) in sources.items()}
    seen = sum(tokens * per_token[name] for name, tokens in plan.tokens_by_source.items()) / sum(plan.tokens_by_source.values())
    everyday = [json.loads(line)["text"] for line in EVERYDAY.read_text(encoding="utf-8").splitlines()]
    others = {"encyclopedic": read_jsquad(), "everyday": everyday}
    japanese = {"technical": heldout["ja"]} | {name: beginnings(documents, arm.heldout_chars) for name, documents in others.items()}
    return Texts(encode, prefix, plan, seen, japanese, heldout["en"])


def beginnings(documents: list[str], chars: int, each: int = 1_000) -> list[str]:
    """The first `each` characters of documents that lie evenly over the list, about `chars` in all. Short enough that no tokenizer needs two windows."""
    step = max(1, len(documents) * each // chars)
    return [text[:each] for text in documents[::step]]


class Curve:
    """Held-out figures at equal parts of the time."""

    def __init__(self, arm: Arm, texts: Texts, score: Callable[[list[str]], tuple[float, int, int]]) -> None:
        self.arm, self.texts, self.score = arm, texts, score
        self.points: list[dict[str, float]] = []
        self.tokens = self.steps = 0

    def measure(self, seconds: float) -> None:
        """Measure now, if the next part of the time (or of the steps) is over."""
        share = self.steps / self.arm.steps if self.arm.steps else seconds / self.arm.seconds
        if len(self.points) > self.arm.points or share + 1e-6 < len(self.points) / self.arm.points:
            return
        point: dict[str, float] = {
            "seconds": seconds,
            "steps": self.steps,
            "tokens": self.tokens,
            "chars": round(self.tokens * self.texts.chars_per_token),
        }
        for name, documents in self.texts.ja.items():
            bits, chars, _ = self.score(documents)
            point[name] = bits / chars
        bits, _, num_bytes = self.score(self.texts.en)
        point["english"] = bits / num_bytes
        self.points.append(point)
        said = "  ".join(f"{name} {point[name]:.4f}" for name in (*self.texts.ja, "english"))
        print(f"    {self.arm.name:<24} {seconds:7.1f} s  {said}", flush=True)


def wait_for_turn(seconds: float) -> None:
    """Where somebody lets arms take turns, say how far this one's clock is, and wait."""
    if "--turns" in sys.argv:
        print(f"{TURN}{seconds!r}", flush=True)
        if not sys.stdin.readline():
            raise SystemExit("nobody gives turns any more")


class TimedPlan:
    """A plan without an end that has as many steps as the time will allow, judged by those so far; or `steps` of them. A step begins with its batch."""

    def __init__(self, plan: Plan, seconds: float, first: int, steps: int, spent: float) -> None:
        self.plan, self.seconds, self.first, self.steps, self.spent = plan, seconds, first, steps, spent
        self.done, self.elapsed_s, self.began = 0, 0.0, 0.0

    @property
    def num_steps(self) -> int:
        if self.steps:
            return self.steps
        if self.elapsed_s >= self.seconds:
            return self.done
        return max(self.done + 1, round(self.done * self.seconds / self.elapsed_s) if self.done else round(self.seconds / GUESSED_STEP_S))

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        wait_for_turn(self.spent + self.elapsed_s)
        self.began = clock()
        return self.plan.batch((self.first + step) % self.plan.num_steps, rank, world_size)


def train_ours(arm: Arm, texts: Texts, dtype: torch.dtype) -> Curve:
    base = load_base(Path(arm.base), dtype)
    rows = None
    if arm.tokenizer:
        first = init_new_rows(base.get_input_embeddings().weight.detach(), token_sources(arm), "mean")
        rows = NewRows(first, None if base.config.tie_word_embeddings else init_new_rows(base.get_output_embeddings().weight.detach(), token_sources(arm)))
    model = CausalModel(base, rows)

    def score(documents: list[str]) -> tuple[float, int, int]:
        results = score_texts(model, texts.encode, documents, prefix=texts.prefix, max_tokens=2_048)
        return sum(results.bits), sum(results.chars), sum(results.bytes)

    curve = Curve(arm, texts, score)
    began = clock()
    if arm.tokenizer and arm.calibrated:
        calibrate_rows(model, texts.plan, sharded=False)
    spent = clock() - began
    curve.measure(0.0)
    if arm.tokenizer and arm.rows_share:
        spent += _train_for(0, arm.rows_share, curve, model, lr=ROWS_STAGE_LR, rows_lr=ROWS_STAGE_LR, spent=spent)
    if arm.rows_share < 1:
        model.add_lora(LoraSettings(arm.rank, 2 * arm.rank), arm.seed)
        _train_for(arm.rows_share, 1, curve, model, lr=arm.lr, rows_lr=arm.lr * arm.rows_lr_ratio, spent=spent)
    return curve


def _train_for(begin: float, end: float, curve: Curve, model: CausalModel, *, lr: float, rows_lr: float, spent: float) -> float:
    """Train about until the share `end` of the time is over, of which so many seconds are `spent` (or from one share of the steps to another); comes back:
    how long it was."""
    arm = curve.arm
    plan = TimedPlan(curve.texts.plan, arm.seconds * end - spent, first=curve.steps, steps=round(arm.steps * (end - begin)), spent=spent)
    steps, tokens = curve.steps, curve.tokens
    settings = TrainSettings(
        lr=lr,
        new_rows_lr=rows_lr,
        betas=(0.9, 0.95),
        eps=1e-8,
        weight_decay=0.0,
        clip_norm=1.0,
        schedule=SCHEDULE["schedule"],
        warmup_share=SCHEDULE["warmup_share"],
        decay_share=SCHEDULE["decay_share"],
        final_lr_share=SCHEDULE["final_share"],
        checkpoint_every=10**6,
        measure_every=10**6,
        new_rows_eps=arm.new_rows_eps,
        new_rows_whitening=arm.new_rows_whitening,
        shared_rows_lr=arm.shared_rows_lr,
    )

    def on_step(step: int, metrics: dict[str, float]) -> None:
        plan.done, plan.elapsed_s = step, plan.elapsed_s + clock() - plan.began
        curve.steps, curve.tokens = steps + step, tokens + int(metrics["tokens"])
        curve.measure(spent + plan.elapsed_s)

    with tempfile.TemporaryDirectory() as folder:
        train(model, plan, settings, checkpoints=Path(folder), on_step=on_step)
    return plan.elapsed_s


def flops_per_token(arm: Arm) -> int:
    """Of one token through a model at inference: two for each weight of a matrix that it meets, the head with its new rows among them. Attention to the
    tokens before it, a few per cent at the lengths here, is left out."""
    sizes = from_folder(Path(arm.base))
    new_rows = len(token_sources(arm)) if arm.tokenizer else 0
    return 2 * (sizes.linear_parameters + (sizes.vocab_size + new_rows) * sizes.hidden_size)


def token_sources(arm: Arm) -> list[list[int]]:
    """The base ids that spelled each new token."""
    return [token["sources"] for token in read_json(Path(arm.tokenizer) / "extension.json")["tokens"]]


def peer_model(arm: Arm, dtype: torch.dtype) -> Any:
    """The base with mean rows for the new tokens, and peft's LoRA with the whole embedding and head in `modules_to_save`."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(arm.seed)
    model = load_base(Path(arm.base), dtype)
    config = LoraConfig(r=arm.rank, lora_alpha=2 * arm.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    if arm.tokenizer:
        config.modules_to_save = ["embed_tokens", "lm_head"]
        matrices = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
        rows = [init_new_rows(matrix.detach(), token_sources(arm), "mean") for matrix in matrices]
        old = model.get_input_embeddings().num_embeddings
        model.resize_token_embeddings(old + len(rows[0]), mean_resizing=False)
        for matrix, new in zip((model.get_input_embeddings().weight, model.get_output_embeddings().weight), rows, strict=True):
            matrix.data[old:] = new.to(dtype)
    model = get_peft_model(model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def score_peer(model: Any, texts: Texts, documents: list[str], dtype: torch.dtype) -> tuple[float, int, int]:
    """Bits, characters and bytes of whole documents, each after the token that begins one."""
    nats, device = 0.0, next(model.parameters()).device
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        for document in documents:
            ids = torch.tensor([[texts.prefix, *texts.encode(document)]], device=device)
            logits = model(input_ids=ids).logits[0, :-1].float()
            nats += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
    model.train()
    return nats / math.log(2), sum(map(len, documents)), sum(len(text.encode()) for text in documents)


def train_peer(arm: Arm, texts: Texts, dtype: torch.dtype) -> Curve:
    from datasets import Dataset
    from transformers import Trainer, TrainerCallback, TrainingArguments, default_data_collator

    model = peer_model(arm, dtype)
    curve = Curve(arm, texts, lambda documents: score_peer(model, texts, documents, dtype))
    elapsed_s = [0.0]

    class Clock(TrainerCallback):
        started = 0.0

        def on_step_begin(self, *args, **kwargs) -> None:
            wait_for_turn(elapsed_s[0])
            self.started = clock()

        def on_step_end(self, args, state, control, **kwargs) -> None:
            elapsed_s[0] += clock() - self.started
            curve.steps += 1
            curve.tokens += arm.rows_per_step * LENGTH
            curve.measure(elapsed_s[0])
            control.should_training_stop = elapsed_s[0] >= arm.seconds

    blocks = end_to_end(texts.plan, arm.seed)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=arm.rows_per_step,
            max_steps=10**6,
            learning_rate=arm.lr,
            adam_beta2=0.95,
            max_grad_norm=1.0,
            bf16=dtype == torch.bfloat16,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            logging_steps=10**6,
            disable_tqdm=True,
            dataloader_drop_last=True,
            dataloader_pin_memory=False,
            seed=arm.seed,
        )
        trainer = Trainer(model, arguments, default_data_collator, Dataset.from_dict({"input_ids": blocks, "labels": blocks}), callbacks=[Clock()])
        optimizer = trainer.create_optimizer()
        share = lambda _: lr_factor(int(1_000 * min(0.999, elapsed_s[0] / arm.seconds)), 1_000, **SCHEDULE)  # noqa: E731
        trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        curve.measure(0.0)
        trainer.train()
    return curve


def end_to_end(plan: Plan, seed: int) -> list[list[int]]:
    """The documents of a plan, shuffled, one after the other with the token that begins one between them, in blocks."""
    order = list(range(len(plan.source_of)))
    random.Random(seed).shuffle(order)
    names = list(plan.sources)
    flat: list[int] = []
    for entry in order:
        flat += [plan.prefix, *plan.sources[names[plan.source_of[entry]]][plan.document_of[entry]]]
    return [flat[start : start + LENGTH] for start in range(0, len(flat) - LENGTH + 1, LENGTH)]


def main() -> None:
    arm, out = Arm(**json.loads(sys.argv[1])), Path(sys.argv[2])
    texts, dtype = read_texts(arm), resolve_precision(arm.precision)
    curve = train_ours(arm, texts, dtype) if arm.method == "ours" else train_peer(arm, texts, dtype)
    last = curve.points[-1]
    facts = {"tokens_per_s": last["tokens"] / last["seconds"], "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    read = {name: sum(map(len, documents)) / sum(len(texts.encode(text)) for text in documents) for name, documents in texts.ja.items()}
    facts |= {
        "chars_per_token": texts.chars_per_token,
        "heldout_chars_per_token": read,
        "flops_per_token": flops_per_token(arm),
        "precision": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }
    write_json(out, {"arm": asdict(arm), **facts, "curve": curve.points})


if __name__ == "__main__":
    main()
