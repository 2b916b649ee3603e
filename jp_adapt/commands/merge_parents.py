"""The models of a merge, opened: weights, configuration, vocabulary, and where their tokenizer lies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.merging.checkpoint import FolderWeights, NamedWeights, Weights
from jp_adapt.merging.config import is_tied
from jp_adapt.merging.lora import AdaptedWeights, Factors
from jp_adapt.merging.plan import EMBEDDING, HEAD, Parent
from jp_adapt.merging.vocabulary import Vocabulary
from jp_adapt.model.vision import LanguagePart, language_part
from jp_adapt.tokenizer.bpe import BpeTokenizer, family_of
from jp_adapt.tokenizer.encoder import vocab_of
from jp_adapt.tokenizer.load import SPEC, load_tokenizer

PEFT = "base_model.model."  # before the base's own names in the file of an adapter
UNSUPPORTED = ("rank_pattern", "alpha_pattern", "fan_in_fan_out", "lora_bias", "modules_to_save", "layers_to_transform")


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter folder, read whole: it is small.

    Attributes:
        factors: name of the base's matrix -> its LoRA.
        replaced: weights of the base that trained whole.
        new_rows: embedding or head -> rows behind the base's.
    """

    folder: Path
    rank: int
    factors: dict[str, Factors]
    replaced: dict[str, Tensor]
    new_rows: dict[str, Tensor]


@dataclass(frozen=True)
class Vision:
    """A vision-language model whose language part is merged: the whole of it.

    Attributes:
        kept: names of the tensors outside of the language part: vision tower, projector, cross-attention.
    """

    part: LanguagePart
    config: Mapping[str, Any]
    weights: FolderWeights
    kept: list[str]


@dataclass(frozen=True)
class OpenModel:
    """A model of a merge; of a vision-language model its language part.

    Attributes:
        folder: of the model, or of the base of the adapter.
        tokenizer: folder of its tokenizer; None where it has none.
        vision: the whole, where it is a vision-language model.
    """

    name: str
    folder: Path
    adapter: Adapter | None
    weights: Weights
    config: Mapping[str, Any]
    tokenizer: Path | None
    vision: Vision | None = None

    @cached_property
    def parent(self) -> Parent:
        return Parent(self.weights, is_tied(self.config, has_head=HEAD in self.weights.tensors))

    @property
    def rows(self) -> int:
        if EMBEDDING not in self.weights.tensors:
            raise InputError(f"{self.folder}: no {EMBEDDING} in it; only plain models of the Llama family merge")
        return self.weights.tensors[EMBEDDING].shape[0]

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        if self.tokenizer is None:
            return None
        added = {token["content"]: token["id"] for token in self._spec.get("added_tokens") or ()}
        return Vocabulary(vocab_of(self._spec) | added, family_of(self._spec), self.rows)

    @cached_property
    def _spec(self) -> dict[str, Any]:
        assert self.tokenizer is not None
        if (self.tokenizer / SPEC).is_file():
            return dict(read_json(self.tokenizer / SPEC))
        return load_tokenizer(self.tokenizer).tokenizer.spec

    def spell(self, token: str) -> list[int]:
        """Ids of its tokens that spell `token`, which its vocabulary may lack; none where its tokenizer is no BPE with bytes."""
        if self.tokenizer is None or family_of(self._spec) not in ("SentencePiece BPE", "byte-level BPE"):
            return []
        bpe = BpeTokenizer(self._spec)
        return [piece for piece in bpe.split([token])[0] if piece < self.rows]


def open_models(folders: Mapping[str, tuple[Path, Path | None]]) -> dict[str, OpenModel]:
    """Open models: of each the folder of the model, and that of an adapter on it, if there is one.

    Raises:
        InputError: a folder is missing or holds no model or adapter that can be merged.
    """
    return {name: _open_model(name, folder, adapter) for name, (folder, adapter) in folders.items()}


def _open_model(name: str, path: Path, adapter: Path | None) -> OpenModel:
    if not (path / "config.json").is_file():
        raise InputError(f"'{name}': {path} has no config.json; give the folder of a Hugging Face model")
    weights, vision = language_weights(path)
    config = read_json(path / "config.json") if vision is None else vision.part.config
    if adapter is None:
        return OpenModel(name, path, None, weights, config, path if _has_tokenizer(path) else None, vision)
    read = _read_adapter(adapter)
    strange = [tensor for tensor in (*read.factors, *read.replaced, *read.new_rows) if tensor not in weights.tensors]
    if strange:
        raise InputError(f"'{name}': {adapter} changes {strange[0]}, which {path} does not have; this is the adapter of another base")
    adapted = AdaptedWeights(weights, read.factors, read.replaced, read.new_rows)
    return OpenModel(name, path, read, adapted, config, _adapter_tokenizer(adapter, path), vision)


def language_weights(folder: Path) -> tuple[Weights, Vision | None]:
    """The weights of a model folder; of a vision-language model those of its language part, under the names of a plain model, and the whole of it.

    InputError: no model in the folder, or a vision-language model whose language part is not known.
    """
    weights = FolderWeights(folder)
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    part = language_part(config, weights.tensors, str(path))
    if part is None:
        return weights, None
    names = part.names(weights.tensors)
    own = set(names.values())
    return NamedWeights(weights, names), Vision(part, config, weights, [name for name in weights.tensors if name not in own])


def _has_tokenizer(folder: Path) -> bool:
    return (folder / SPEC).is_file() or (folder / "tokenizer.model").is_file()


def _adapter_tokenizer(adapter: Path, base: Path) -> Path | None:
    """The folder of the tokenizer that an adapter was trained with: its own, or the base's."""
    wanted = _metadata(adapter).get("tokenizer_sha256")
    for folder in (adapter, base):
        if _has_tokenizer(folder) and (wanted is None or ((folder / SPEC).is_file() and sha256_file(folder / SPEC) == wanted)):
            return folder
    if wanted is not None:
        raise InputError(
            f"{adapter}: trained with a tokenizer.json of SHA-256 {wanted[:12]}..., and none lies in {adapter} or {base}; put it beside the adapter"
        )
    return None


def _metadata(adapter: Path) -> dict[str, str]:
    """What jp-adapt noted in an adapter that it saved; nothing in one of peft."""
    from jp_adapt.model.causal import adapter_metadata  # transformers comes with it: whole models merge without

    try:
        return adapter_metadata(adapter)
    except InputError:
        return {}


def _read_adapter(folder: Path) -> Adapter:
    from jp_adapt.model.causal import ADAPTER_CONFIG, ADAPTER_FILE, ROWS_FILE, WEIGHTS_FILE

    files = {name: load_file(folder / name) for name in (ADAPTER_FILE, ROWS_FILE, WEIGHTS_FILE) if (folder / name).is_file()}
    if not files:
        raise InputError(f"{folder}: no adapter here ({ADAPTER_FILE}, {ROWS_FILE} or {WEIGHTS_FILE}); runs/NAME/stages/ID/final is one")
    if quantization := _metadata(folder).get("quantization"):
        raise InputError(
            f"{folder}: trained on a base in {quantization}, whose rounding belongs to the model; export it first: jp-adapt export adapter {folder}"
        )
    rows = {{"input": EMBEDDING, "output": HEAD}[name]: tensor for name, tensor in files.get(ROWS_FILE, {}).items()}
    if ADAPTER_FILE not in files:
        return Adapter(folder, 0, {}, dict(files.get(WEIGHTS_FILE, {})), rows)
    config = read_json(folder / ADAPTER_CONFIG)
    return Adapter(folder, int(config["r"]), _factors(folder, files[ADAPTER_FILE], config), dict(files.get(WEIGHTS_FILE, {})), rows)


def _factors(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Factors]:
    """Name of the base's matrix -> its LoRA, of the tensors and the configuration that peft writes."""
    if config.get("peft_type") != "LORA":
        raise InputError(f"{folder}: an adapter of type {config.get('peft_type')}; only LoRA merges")
    strange = [key for key in UNSUPPORTED if config.get(key)]
    if strange or config.get("bias", "none") != "none":
        raise InputError(
            f"{folder}: its adapter_config.json sets {strange[0] if strange else 'bias'}, which is not merged here; merge it into its base with peft first"
        )
    scale = config["lora_alpha"] / (math.sqrt(config["r"]) if config.get("use_rslora") else config["r"])
    factors = {}
    for name in sorted({key.rpartition(".lora_")[0] for key in tensors}):
        parts = {key.removeprefix(name + "."): tensor for key, tensor in tensors.items() if key.startswith(name + ".lora_")}
        if not {"lora_A.weight", "lora_B.weight"} <= parts.keys():
            raise InputError(f"{folder}: {name or sorted(tensors)[0]} is not a pair of LoRA matrices; merge this adapter into its base with peft first")
        factors[name.removeprefix(PEFT) + ".weight"] = Factors(parts["lora_A.weight"], parts["lora_B.weight"], scale, parts.get("lora_magnitude_vector"))
    return factors
