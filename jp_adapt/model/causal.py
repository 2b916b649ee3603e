"""A causal language model as training and evaluation need it: a base, frozen unless said otherwise, and beside it what may train (new rows, LoRA)."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging as transformers_logging

from jp_adapt.core.errors import InputError, one_line
from jp_adapt.core.extras import require_extra
from jp_adapt.core.files import read_json, write_json
from jp_adapt.core.progress import say
from jp_adapt.model.attention import DOCUMENT_ATTENTION, Memory
from jp_adapt.model.language_view import load_seeing, sees
from jp_adapt.model.lora import LoraSettings, adapter_config, lora_parameters, lora_settings, plain_name
from jp_adapt.model.packed import PackedAttention, packed_attention
from jp_adapt.model.rows import ExtendedEmbedding, RowOrder, take_rows
from jp_adapt.model.weight_files import read_metadata, read_tensors, write_tensors

if TYPE_CHECKING:
    from jp_adapt.model.lean.body import LeanBody

CHUNK_LOGITS = 16_000_000  # logits held at once while scoring: 64 MB in float32
ADAPTER_FILE, ADAPTER_CONFIG, ROWS_FILE = "adapter_model.safetensors", "adapter_config.json", "new_rows.safetensors"
WEIGHTS_FILE = "trained_weights.safetensors"  # of the base, those that trained, under the base's own names
transformers_logging.disable_progress_bar()  # progress is ours to show

Quantization = Literal["nf4"]
FIRST_NEW_ID = "first_new_id"
PEFT_PREFIX = "base_model.model.model."  # peft's name for the body of a causal model


@dataclass
class NewRows:
    """Rows of the new tokens: input [W, H], and output [W, H] where the base's head is not tied to its embedding.

    Attributes:
        first: id of the first of them. None, as in adapters written before it was kept: after all rows of the base.
    """

    input: Tensor
    output: Tensor | None
    first: int | None = None


class CausalModel(nn.Module):
    """Transformer body, embedding and head of a base model, frozen until `unfreeze`, with optional new rows that train.

    The head is not a layer here: training and scoring take its rows and multiply only where they need logits.

    Attributes:
        dtype: type of the computation, and of the weights that do not train.
        attention: which attention goes over packed documents.
        compiled: whether torch compiles the body, for which the documents of each batch must not be Python numbers.
        lean: what computes in place of the body in training steps on a CPU, after `make_lean`.
        order: where the rows of ids stand.
        rows_in_use: how many of the new rows are in the head, the first ones; the tokens of the others do not come yet. All, unless training lets them grow.
        trained: names of the base's own weights that train, or did in an earlier stage: what an adapter folder must hold beside LoRA and new rows.
    """

    def __init__(self, base: Any, rows: NewRows | None = None) -> None:
        super().__init__()
        base.requires_grad_(False)
        self.base = base
        self.dtype: torch.dtype = base.get_input_embeddings().weight.dtype
        self.trained: set[str] = set()
        self.body_trains = False
        self.attention: PackedAttention = "auto"
        self.compiled = False
        self.lean: LeanBody | None = None
        self.body = base.get_decoder()
        self.tied = bool(base.config.tie_word_embeddings)
        self.lora: LoraSettings | None = None
        self.new_input = nn.Parameter(rows.input.clone()) if rows else None
        self.new_output = self.new_input
        if rows and not self.tied:
            if rows.output is None:
                raise InputError("the base's head is not tied to its embedding, and the new rows hold no output rows; make them again with the rows stage")
            self.new_output = nn.Parameter(rows.output.clone())
        num_rows = int(base.get_input_embeddings().weight.shape[0])
        self.order = take_rows(base, num_rows if rows.first is None else rows.first, len(rows.input)) if rows else RowOrder(num_rows)
        self.rows_in_use = self.order.count
        self.embedding = ExtendedEmbedding(base.get_input_embeddings(), self.new_input, self.order)

    @property
    def quantized(self) -> bool:
        """Whether linear layers hold 4 bits a weight."""
        return getattr(self.base, "quantization_method", None) is not None

    @property
    def base_head(self) -> Tensor:
        """[V, H] head rows of the base without those that new rows took; they train only where `unfreeze` said so, and are float32 then."""
        weight: Tensor = self.base.get_output_embeddings().weight
        return weight

    @property
    def new_head(self) -> Tensor | None:
        """[rows_in_use, H] head rows of the new tokens that are in use; None where there are none."""
        if self.new_output is None or self.rows_in_use == len(self.new_output):
            return self.new_output
        return self.new_output[: self.rows_in_use]

    @property
    def vocab_size(self) -> int:
        return int(self.base_head.shape[0]) + self.rows_in_use

    def forward(self, ids: Tensor, positions: Tensor | None = None, *, memory: Memory | None = None) -> Tensor:
        """Last hidden states [B, T, H] of ids [B, T]. Where positions [B, T] restart, a new document begins that sees nothing before it.

        A `memory` attends by itself: to what it holds, and to what it is told that these tokens see of each other.
        """
        embedded = self.embedding(ids).to(self.dtype)
        # Weights that train are float32, and autocast computes in `dtype`; all others have that type already.
        mixed = self.body_trains and self.dtype != torch.float32
        # A memory attends by itself; compiled, it is torch's SDPA.
        attend = None if positions is None or memory is not None or self.compiled else packed_attention(self.attention, positions)
        if self.lean is not None and attend is not None and positions is not None and torch.is_grad_enabled():
            return self.lean(embedded, positions)
        options: dict[str, Any] = {} if attend is None else {"attend": attend}
        if memory is not None:
            options = {"attend_memory": memory.attend, "cache": memory, "attention_mask": embedded.new_zeros(1, 1, 1, 1)}  # or transformers would make a mask
        with torch.autocast(embedded.device.type, self.dtype) if mixed else nullcontext():
            body = self.body(inputs_embeds=embedded, position_ids=positions, use_cache=memory is not None, **options)
        hidden: Tensor = body.last_hidden_state
        return hidden.to(self.dtype)

    def logits(self, hidden: Tensor) -> Tensor:
        """[N, vocab_size] in float32, of hidden states [N, H]."""
        logits = hidden @ self.base_head.to(hidden.dtype).t()
        if (new_head := self.new_head) is not None:
            logits = self.order.join(logits, hidden @ new_head.to(hidden.dtype).t(), dim=1)
        return logits.float()

    @torch.inference_mode()
    def log_likelihoods(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """ln p(target) [N], in nats, of targets [N] after hidden states [N, H]; logits only in chunks."""
        out = []
        size = max(1, CHUNK_LOGITS // self.vocab_size)
        for part, target in zip(hidden.split(size), targets.split(size), strict=True):
            logits = self.logits(part)
            out.append(logits.gather(1, target[:, None])[:, 0] - logits.logsumexp(dim=1))
        return torch.cat(out)

    def add_lora(self, settings: LoraSettings, seed: int) -> None:
        """Put LoRA on all linear layers of the body."""
        from jp_adapt.model.lean_lora import add_lora  # which loads peft

        add_lora(self.body, settings, seed)
        self.lora = settings

    def make_lean(self) -> None:
        """Let training steps go through layers of our own, where the body is one that they know, on a CPU, and frozen but for LoRA. Nothing else changes."""
        from jp_adapt.model.lean.body import lean_body  # which loads transformers' models

        self.lean = lean_body(self.body)

    def unfreeze(self, *, body: bool, embeddings: bool) -> None:
        """Let weights of the base train, as float32: all of the transformer body, all rows of embedding and head. The others are frozen in `dtype`."""
        self.body_trains = body
        rows = {id(weight) for weight in self.base_row_parameters().values()}
        for name, parameter in self.base.named_parameters():
            if ".lora_" in name:
                continue
            trains = embeddings if id(parameter) in rows else body
            if parameter.is_floating_point():  # weights in 4 bits are bytes
                parameter.requires_grad_(trains)
                parameter.data = parameter.data.to(torch.float32 if trains else self.dtype)
            if trains:
                self.trained.add(plain_name(name))

    def base_row_parameters(self) -> dict[str, nn.Parameter]:
        """The base's own rows by name; one entry where the head is tied."""
        results = {"input": self.base.get_input_embeddings().weight, "output": self.base.get_output_embeddings().weight}
        return {"input": results["input"]} if self.tied else results

    def new_row_parameters(self) -> dict[str, nn.Parameter]:
        """The trainable new rows by name; one entry where the head is tied."""
        results = {"input": self.new_input, "output": None if self.tied else self.new_output}
        return {name: parameter for name, parameter in results.items() if parameter is not None}


def load_base(folder: Path, dtype: torch.dtype, *, quantization: Quantization | None = None, empty: bool = False, device: str | None = None) -> Any:
    """The transformers model of a plain folder, from safetensors only and without remote code; of a vision-language model its language part.

    Args:
        quantization: "nf4": linear layers of the transformer in 4-bit NormalFloat with double quantization (QLoRA, 2305.14314); embedding, head and norms
            stay in `dtype`, in which all compute.
        device: where a quantized model is made; the current GPU by default, where there is one. Other models are made on the CPU.
        empty: the parameters without their values (meta tensors).

    Raises:
        UsageError: bitsandbytes is not installed. InputError: transformers cannot load the folder.
    """
    config: dict[str, Any] = {"dtype": dtype, "attn_implementation": DOCUMENT_ATTENTION}
    if quantization is not None:
        require_extra("qlora", f"quantization {quantization}", "take it out of the recipe")
        four_bit = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)
        config |= {"quantization_config": four_bit} | ({} if device is None else {"device_map": {"": device}})
    try:
        config_of = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if sees(config_of):
            if quantization is not None:
                raise InputError(f"{folder}: a vision-language model trains in its own precision: what sees stays as it is, bit for bit; take quantization out")
            return load_seeing(folder, config_of, dtype, empty=empty)
        if empty:
            with init_empty_weights(include_buffers=False):
                model = AutoModelForCausalLM.from_config(config_of, trust_remote_code=False, **config)
            model.tie_weights()
            return model
        model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, trust_remote_code=False, **config)
    except InputError:
        raise
    except Exception as error:  # for a config.json or weights that it does not take, transformers raises errors of a dozen kinds
        raise InputError(f"{folder}: no model that transformers can load ({one_line(error)})") from error
    for module in model.modules() if quantization is not None else ():
        # On a CPU with AVX512-BF16, bitsandbytes 0.50 lays the weights out anew in a forward pass without gradients (a held-out measurement, say), in a
        # way that passes with gradients and `dequantize` then read wrongly, and that fails for layers narrower than 64.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def load_causal(folder: Path, dtype: torch.dtype, adapter: Path | None = None, *, quantization: Quantization | None = None, empty: bool = False) -> CausalModel:
    """A model folder, as `load_base` loads it, with the new rows, the trained weights and the LoRA of an adapter folder attached."""
    base = load_base(folder, dtype, quantization=quantization, empty=empty)
    return CausalModel(base) if adapter is None else attach(base, adapter)


def attach(base: Any, adapter: Path) -> CausalModel:
    """The transformers model `base` with what an adapter folder holds. Of a base without values only the shapes are attached."""
    empty = base.get_input_embeddings().weight.is_meta
    model = CausalModel(base, load_new_rows(adapter))
    if (adapter / WEIGHTS_FILE).is_file():
        weights = read_tensors(adapter / WEIGHTS_FILE)
        _put(weights, dict(base.named_parameters(remove_duplicate=False)), adapter / WEIGHTS_FILE, empty=empty)
        model.trained = set(weights)
    if (adapter / ADAPTER_FILE).is_file():
        config = read_json(adapter / ADAPTER_CONFIG)
        model.add_lora(lora_settings(config, str(adapter / ADAPTER_CONFIG)), seed=0)
        saved = read_tensors(adapter / ADAPTER_FILE)
        parameters = {PEFT_PREFIX + name: parameter for name, parameter in lora_parameters(model.body).items()}
        if missing := sorted(parameters.keys() - saved.keys()):
            raise InputError(f"{adapter / ADAPTER_FILE}: lacks '{missing[0]}', which its {ADAPTER_CONFIG} tells of; it belongs to another model")
        _put({name: saved[name] for name in parameters}, parameters, adapter / ADAPTER_FILE, empty=empty)
    return model


def _put(weights: dict[str, torch.Tensor], parameters: dict[str, torch.nn.Parameter], path: Path, *, empty: bool) -> None:
    """Put the weights of a file into the parameters of their names. InputError where a model lacks one, or has it in another shape."""
    for name, weight in weights.items():
        if name not in parameters:
            raise InputError(f"{path}: holds '{name}', which the base lacks; it belongs to another model")
        if weight.shape != parameters[name].shape:
            results, expected = list(weight.shape), list(parameters[name].shape)
            raise InputError(f"{path}: '{name}' has the shape {results}, and the base takes {expected}; it belongs to another model")
        if not empty:
            parameters[name].data = weight


def load_new_rows(adapter: Path) -> NewRows | None:
    """The new rows of an adapter folder, None where it has none."""
    if not (adapter / ROWS_FILE).is_file():
        return None
    tensors = read_tensors(adapter / ROWS_FILE)
    first = read_metadata(adapter / ROWS_FILE).get(FIRST_NEW_ID)
    if "input" not in tensors or (first is not None and not first.isdecimal()):
        raise InputError(f"{adapter / ROWS_FILE}: no rows that jp-adapt saved")
    return NewRows(tensors["input"], tensors.get("output"), None if first is None else int(first))


def save_adapter(model: CausalModel, folder: Path, tokenizer_sha256: str) -> None:
    """Write the new rows, the LoRA and the trained weights of `model`, and the hash of the tokenizer that they belong to."""
    facts = {"tokenizer_sha256": tokenizer_sha256, "dtype": str(model.dtype).removeprefix("torch.")}
    if model.quantized:
        facts["quantization"] = "nf4"
    rows = {name: parameter.detach().contiguous() for name, parameter in model.new_row_parameters().items()}
    if rows:
        write_tensors(rows, folder / ROWS_FILE, facts | {FIRST_NEW_ID: str(model.order.first)})
    if model.trained:
        named = {plain_name(name): parameter for name, parameter in model.base.named_parameters()}
        write_tensors({name: named[name].detach().contiguous() for name in sorted(model.trained)}, folder / WEIGHTS_FILE, facts)
    if model.lora is not None:
        lora = {PEFT_PREFIX + name: parameter.detach().contiguous() for name, parameter in lora_parameters(model.body).items()}
        write_tensors(lora, folder / ADAPTER_FILE, facts)
        write_json(folder / ADAPTER_CONFIG, adapter_config(model.lora, lora))


def adapter_metadata(folder: Path) -> dict[str, str]:
    """What `save_adapter` noted: tokenizer_sha256, the dtype that the base trained in, and its quantization.

    InputError when `folder` is not an adapter of ours.
    """
    for name in (ROWS_FILE, ADAPTER_FILE, WEIGHTS_FILE):
        if (folder / name).is_file():
            facts = read_metadata(folder / name)
            if "tokenizer_sha256" in facts:
                return facts
    raise InputError(
        f"{folder}: no adapter that jp-adapt saved ({ROWS_FILE}, {ADAPTER_FILE} or {WEIGHTS_FILE} with a tokenizer's hash); runs/NAME/stages/ID/final is one"
    )


def resolve_precision(precision: str) -> torch.dtype:
    """ "auto" is bfloat16 where the device computes it fast (a CUDA GPU that has it, a CPU with AVX512-BF16 or AMX), else float32.

    Asking for bfloat16 on another CPU is answered with a warning: torch's fallback is over 50 times slower than float32 there (docs/log.md).
    """
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported()
    else:
        features = torch.cpu.get_capabilities()
        fast = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    if precision == "auto":
        return torch.bfloat16 if fast else torch.float32
    if precision == "bfloat16" and not fast and not torch.cuda.is_available():
        say("this processor multiplies bfloat16 many times slower than float32; precision: auto or float32 is faster here")
    return {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}[precision]
