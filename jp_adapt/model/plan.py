"""What a training stage will need: memory by part, floating-point operations, hours. Arithmetic only; nothing here imports torch.

The memory model counts what this project's own loop holds: the frozen base once in the training type, LoRA and new rows in float32 with their gradients and
two Adam moments, the tensors that a block saves for its backward pass (one of `transformers` with SDPA attention or, on a CPU, of model/lean; frozen weights
save nothing for themselves), and the chunk of logits of our cross-entropy. It is held against measured peaks by `python -m tests.perf plan_memory`
(docs/log.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from jp_adapt.model.architectures import Architecture

CHUNK_BYTES = 96_000_000  # as in training/loss.py; a test holds the two together
TRAINED_BYTES = {"parameters": 4, "gradients": 4, "optimizer": 8}  # float32, and AdamW's two moments
NF4_BYTES = 0.5 + 0.127 / 8  # 4-bit NormalFloat with double quantisation of its constants (2305.14314)
GB = 10**9


@dataclass(frozen=True)
class Device:
    """A device: memory, peak of dense bfloat16 products, the share of it that training is assumed to reach, and where the figures are from.

    `reached`: the peak is what a training reached (measured), or would reach (estimated); None where it is that of a data sheet. `cpu`: training steps go
    through model/lean where it knows the model.
    """

    memory_bytes: float
    peak_flops: float
    mfu: float
    reserve_bytes: float
    source: str
    reached: Literal["measured", "estimated"] | None = None
    cpu: bool = False


def _gpu(memory_gb: float, tera_flops: float, source: str) -> Device:
    # Of a GPU's memory about 1 GB goes to the CUDA context and NCCL, and the caching allocator loses some to fragments: 6 % are set aside for that.
    return Device(memory_gb * GB, tera_flops * 1e12, 0.35, 1.0 * GB + 0.06 * memory_gb * GB, source)


# Peaks are dense (data sheets often give twice as much, "with sparsity"); RTX figures are those with float32 accumulation.
DEVICES = {
    "h100-80g": _gpu(80, 989, "NVIDIA H100 data sheet, SXM5"),
    "h100-pcie-80g": _gpu(80, 756, "NVIDIA H100 data sheet, PCIe"),
    "h200-141g": _gpu(141, 989, "NVIDIA H200 data sheet"),
    "a100-80g": _gpu(80, 312, "NVIDIA A100 data sheet"),
    "a100-40g": _gpu(40, 312, "NVIDIA A100 data sheet"),
    "l40s-48g": _gpu(48, 362, "NVIDIA L40S data sheet"),
    "l4-24g": _gpu(24, 121, "NVIDIA L4 data sheet"),
    "a10g-24g": _gpu(24, 70, "NVIDIA A10G data sheet (AWS G5)"),
    "rtx4090-24g": _gpu(24, 165, "NVIDIA Ada whitepaper"),
    "rtx3090-24g": _gpu(24, 71, "NVIDIA Ampere GA102 whitepaper"),
    # Two cores with AVX512-BF16 took 430 tokens of SmolLM2-135M a second in a LoRA step of 0.57 GFLOP a token: what is reached, so the share is 1.
    "cpu-2core": Device(16 * GB, 0.245e12, 1.0, 0.6 * GB, "measured for this project, 2 cores with AVX512-BF16", "measured", cpu=True),
}


@dataclass(frozen=True)
class Workload:
    """A training stage on `devices` devices. `micro_rows`: rows that pass through one device at once.

    `lean`: training steps go through layers of our own (model/lean) where the transformer is frozen but for LoRA, whole, and not in 4 bits.
    What trains: the new rows; LoRA of `lora_rank`, where there is one; with `train_body` all of the transformer; with `train_rows` all rows of
    embedding and head.
    """

    architecture: Architecture
    new_tokens: int
    lora_rank: int | None
    sequence_tokens: int
    rows_per_step: int
    tokens: int
    loss_share: float = 1.0
    devices: int = 1
    weight_bytes: float = 2.0
    micro_rows: int = 1
    checkpointing: bool = False
    sharded: bool = False
    four_bit: bool = False
    train_body: bool = False
    train_rows: bool = False
    lean: bool = False

    @property
    def new_row_parameters(self) -> int:
        return self.new_tokens * self.architecture.hidden_size * (1 if self.architecture.tied else 2)

    @property
    def trained_base_parameters(self) -> int:
        """Of the base's own parameters, those that train."""
        model = self.architecture
        body = model.parameters - model.embedding_parameters if self.train_body else 0
        return body + (model.embedding_parameters if self.train_rows else 0)

    @property
    def trainable(self) -> int:
        lora = self.architecture.lora_parameters(self.lora_rank) if self.lora_rank else 0
        return self.new_row_parameters + lora + self.trained_base_parameters

    @property
    def steps(self) -> int:
        return max(1, -(-self.tokens // (self.rows_per_step * self.sequence_tokens)))


def memory_by_part(work: Workload) -> dict[str, float]:
    """Bytes on one device at the peak of a step, by part."""
    model = work.architecture
    shards = work.devices if work.sharded else 1
    linear = 0 if work.train_body else model.linear_parameters
    weights = linear * (NF4_BYTES if work.four_bit else work.weight_bytes) + (model.parameters - work.trained_base_parameters - linear) * work.weight_bytes
    gathered = new_rows = 0.0
    if work.sharded and work.devices > 1:  # FSDP gathers one block while the next is fetched; embedding, head and new rows stay whole through a step
        rows_bytes = 4 if work.train_rows and not work.train_body else work.weight_bytes
        gathered = 2 * model.linear_parameters / model.num_layers * work.weight_bytes + model.embedding_parameters * rows_bytes
        new_rows = work.new_row_parameters * 4
    return {
        "weights": weights / shards + gathered,
        "trainable weights": work.trainable * TRAINED_BYTES["parameters"] / shards + new_rows,
        "optimizer": work.trainable * TRAINED_BYTES["optimizer"] / shards,
        **_passes(work, shards),
    }


def _passes(work: Workload, shards: int) -> dict[str, float]:
    """Bytes of gradients, activations and logits where they are most together: in the loss of the last micro-batch, or at the end of its backward pass."""
    model, width, tokens = work.architecture, work.weight_bytes, work.micro_rows * work.sequence_tokens
    gradients = work.trainable * TRAINED_BYTES["gradients"] / shards
    of_earlier = gradients if work.rows_per_step > work.micro_rows * work.devices else 0.0
    rows = (work.new_tokens + (model.vocab_size if work.train_rows else 0)) * model.hidden_size  # of the head, that train; the loss makes their gradient
    largest = max(work.new_tokens, model.vocab_size if work.train_rows else 0) * model.hidden_size
    stored, block, backward = _activations(work)
    logits = min(CHUNK_BYTES, (model.vocab_size + work.new_tokens) * tokens * (4 if width == 4 else 4 + width))
    logits += rows * width if width < 4 else 0  # rows that train are float32, and multiplied in the type of the computation
    # The loss keeps the rows' gradient in float32 and adds each chunk's to it; backward multiplies it, and the chunk is gone by then.
    in_loss = {"gradients": of_earlier + 4 * (rows + largest), "activations": stored, "logits": logits}
    in_backward = {"gradients": of_earlier + 4 * 2 * rows, "activations": stored + backward, "logits": 0.0}
    # At the end the embedding gives its rows a gradient as large as the whole matrix, in the type of the computation and in float32.
    at_end = {"gradients": gradients + rows * (4 + width), "activations": block + backward, "logits": 0.0}
    return max((in_loss, in_backward, at_end), key=lambda parts: sum(parts.values()))


def _activations(work: Workload) -> tuple[float, float, float]:
    """Bytes, for `micro_rows` rows on one device: what the backward pass needs of all blocks; of one block; and the gradients inside of a block."""
    model, width = work.architecture, work.weight_bytes
    tokens = work.micro_rows * work.sequence_tokens
    lean = work.lean and not (work.train_body or work.sharded or work.four_bit)
    block, backward = _lean_block(work) if lean else _block(work)
    ends = tokens * (3 * model.hidden_size * width + model.hidden_size * 4)  # embedding, last hidden states and their gradient, the last norm
    stored = tokens * model.hidden_size * width * model.num_layers + block if work.checkpointing else block * model.num_layers
    return stored + ends, block + ends, backward


def _block(work: Workload) -> tuple[float, float]:
    """Bytes of a block of `transformers`: what it keeps for its backward pass, and the gradients inside of it."""
    model, width, tokens = work.architecture, work.weight_bytes, work.micro_rows * work.sequence_tokens
    float32_copies = 2 * model.hidden_size * 4  # RMSNorm computes in float32 and keeps its input so
    attention = 4 * model.query_size * width + model.num_heads * 4  # q, k and v (repeated for every query head), output, and log-sum-exp
    reads = bool(work.lora_rank or work.train_body)  # LoRA's A, or a layer that trains, keeps its input
    mlp = (4 if reads else 3) * model.intermediate_size * width  # gate, silu(gate), up, and their product, which down reads
    inputs = 2 * model.hidden_size * width if reads else 0  # after each norm (o's is counted above)
    low_rank = 7 * (work.lora_rank or 0) * width
    # Of documents apart every block keeps a mask of its own; float32 matrices that train are cast in every block (autocast, where FSDP does not gather so).
    fixed = work.micro_rows * work.sequence_tokens**2 * width
    if work.train_body and width < 4 and not work.sharded:
        fixed += model.linear_parameters / model.num_layers * width
    if work.lora_rank and width < 4:
        fixed += model.lora_parameters(work.lora_rank) / model.num_layers * width
    kept = tokens * (float32_copies + attention + mlp + inputs + low_rank) + fixed
    return kept, tokens * (model.intermediate_size * 3 + 2 * model.hidden_size) * width


def _lean_block(work: Workload) -> tuple[float, float]:
    """The same of a block of model/lean: norms, rotations and the product of gate and up are made again, keys and values stand once for all their queries."""
    model, width, tokens = work.architecture, work.weight_bytes, work.micro_rows * work.sequence_tokens
    attention = model.hidden_size + 2 * model.query_size + 2 * model.key_size  # the input, queries, what is mixed, keys and values
    feed_forward = model.hidden_size + 2 * model.intermediate_size  # the input, gate and up
    kept = attention + feed_forward + 7 * (work.lora_rank or 0)
    # In the backward pass of gate and up: their product, silu, its gradient and theirs; the normed input, its gradient and that of the block.
    return tokens * (kept * width + 8), tokens * (5 * model.intermediate_size + 3 * model.hidden_size) * width


def flops_per_token(work: Workload) -> float:
    """Floating-point operations for one token: forward, and backward through frozen weights (input gradients only) and trainable ones."""
    model = work.architecture
    lora = model.lora_parameters(work.lora_rank) if work.lora_rank else 0
    attention = model.num_layers * 4 * (work.sequence_tokens / 2) * model.query_size  # scores and values, half of them masked
    forward = 2 * (model.linear_parameters + lora) + attention
    backward = (4 if work.train_body else 2) * model.linear_parameters + 4 * lora + 2 * attention
    trained_rows = work.new_tokens + (model.vocab_size if work.train_rows else 0)
    head = work.loss_share * (4 * (model.vocab_size + work.new_tokens) + 2 * trained_rows) * model.hidden_size
    return forward * (2 if work.checkpointing else 1) + backward + head


def hours(work: Workload, device: Device) -> float:
    """Wall-clock hours at the device's assumed share of its peak; communication, evaluation and saving are not counted."""
    return work.tokens * flops_per_token(work) / (work.devices * device.peak_flops * device.mfu) / 3600


def total(work: Workload, device: Device) -> float:
    """Bytes on one device, with what the system keeps for itself."""
    return sum(memory_by_part(work).values()) + device.reserve_bytes


Remedy = Literal["micro_batch", "checkpointing", "shard", "four_bit", "devices", "sequence"]


def remedies(work: Workload, device: Device) -> Iterator[tuple[Remedy, str, Workload]]:
    """What would make the workload fit, each on top of those before it, the cheapest first, until it fits (or nothing is left to try)."""
    if total(work, device) <= device.memory_bytes:
        return
    for remedy, words, changed in _steps(work):
        if changed == work:
            continue
        work = changed
        yield remedy, words, work
        if total(work, device) <= device.memory_bytes:
            return


def _steps(work: Workload) -> Iterator[tuple[Remedy, str, Workload]]:
    work = replace(work, micro_rows=1)
    yield "micro_batch", "one row at a time on each device (gradient accumulation; same result)", work
    work = replace(work, checkpointing=True)
    yield "checkpointing", "activation_checkpointing: true (same result, a third more time)", work
    if work.devices > 1:
        work = replace(work, sharded=True)
        yield "shard", f"distributed: fsdp, weights sharded over the {work.devices} devices (same result)", work
    if work.lora_rank is not None:
        yield "four_bit", "quantization: nf4, base in 4 bits, whole on each device (QLoRA; a little quality)", replace(work, four_bit=True, sharded=False)
    for devices in (2, 4, 8, 16, 32, 64):
        if devices > work.devices:
            yield "devices", f"{devices} devices with distributed: fsdp", replace(work, devices=devices, sharded=True)
