"""A model folder as a GGUF file needs it: configuration, tensors, tokenizer, ids of special tokens, chat template; checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import read_json, read_text
from jp_adapt.core.yaml_lines import parse_yaml
from jp_adapt.export.gguf_folder import MORE_TEMPLATES
from jp_adapt.inference.text_side import ChatFormat, TextSide, own_template, special_token, text_side
from jp_adapt.merging.checkpoint import FolderWeights
from jp_adapt.model.gguf_tensors import Array, LlamaTensor, llama_tensors
from jp_adapt.model.vision import is_vision
from jp_adapt.tokenizer.gguf import Vocabulary, vocabulary_of
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer

MAX_UNUSED_SHARE = 0.1  # of the embedding's rows; published models pad by up to 2.4 % (DeepSeek: 100,015 tokens, 102,400 rows)
STORED = {"torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16"}
KNOWN_ENDS = ("<|eot_id|>", "<|im_end|>", "<|end_of_text|>", "<|endoftext|>", "<|eom_id|>", "</s>", "<end_of_turn>")  # llama.cpp ends at these by their text


@dataclass(frozen=True)
class GgufSource:
    """What a model folder holds.

    Attributes:
        ids: of bos, eos, eot, eom, unk and pad, those that there are.
        templates: chat templates by name, the one without a name as "default".
        chat: the default template as every part of this program renders it.
        card: front matter of the README, as far as it has one.
        notes: what the file will do otherwise than the folder.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    weights: FolderWeights
    tensors: list[LlamaTensor]
    loaded: LoadedTokenizer
    vocabulary: Vocabulary
    ids: dict[str, int]
    templates: dict[str, str]
    chat: ChatFormat
    card: dict[str, Any]
    notes: list[str]

    @property
    def tied(self) -> bool:
        return all(tensor.gguf != "output.weight" for tensor in self.tensors)

    def stored_type(self, tensor: LlamaTensor) -> str:
        """F32, F16 or BF16."""
        return STORED[str(self.weights.tensors[tensor.name].dtype)]

    def rows(self, tensor: LlamaTensor, start: int, end: int) -> Array:
        """Rows [start, end) of a tensor as they are stored, bfloat16 as uint16."""
        rows = self.weights.read(tensor.name)[start:end]
        stored: Array = (rows.view(torch.uint16) if rows.dtype == torch.bfloat16 else rows).numpy()
        return stored


def as_float32(stored: Array) -> Array:
    """What `GgufSource.rows` gives, as float32, which holds every value of the three types."""
    rows = torch.from_numpy(stored)
    numbers: Array = (rows.view(torch.bfloat16) if rows.dtype == torch.uint16 else rows).float().numpy()
    return numbers


def all_finite(stored: Array) -> bool:
    """Whether rows as they are stored hold finite numbers alone: in bfloat16 those whose exponent is not all ones."""
    return not ((stored & 0x7F80) == 0x7F80).any() if stored.dtype == np.uint16 else bool(np.isfinite(stored).all())


def read_source(folder: Path, name: str | None = None) -> GgufSource:
    """Read and check a model folder. InputError names what is missing, cut short, of another model, or not known to llama.cpp."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no config.json here; give the folder of a Hugging Face model")
    place = str(folder / "config.json")
    config = _mapping(folder / "config.json")
    if is_vision(config):
        raise InputError(f"{folder}: a vision-language model; a GGUF file of its language part alone is not written here")
    tensors = llama_tensors(config, place)
    weights = FolderWeights(folder)
    _check_weights(weights, tensors, folder)
    loaded, side = load_tokenizer(folder), text_side(folder)
    ids, notes = special_ids(side, special_token(folder, "unk_token"), special_token(folder, "pad_token"))
    vocabulary = vocabulary_of(loaded, tensors[0].shape[0], bos=ids.get("bos"), eos=ids["eos"], place=str(folder))
    unused = len(vocabulary.unused)
    if unused > MAX_UNUSED_SHARE * len(vocabulary.tokens):
        raise InputError(f"{folder}: {unused:,} of {len(vocabulary.tokens):,} rows of the embedding have no token; this is another model's tokenizer")
    stripping = [token["content"] for token in loaded.tokenizer.spec["added_tokens"] if token.get("lstrip") or token.get("rstrip") or token.get("single_word")]
    if stripping:
        notes.append(f"special tokens that take the spaces beside them, such as '{stripping[0]}', leave them in llama.cpp")
    if vocabulary.note is not None:
        notes.append(vocabulary.note)
    window = config.get("sliding_window")
    if isinstance(window, int) and window < config.get("max_position_embeddings", 0):
        notes.append(f"llama.cpp attends to the whole context, and this model to the last {window:,} tokens: texts beyond that differ")
    templates = chat_templates(folder)
    return GgufSource(folder, name or _name(folder), config, weights, tensors, loaded, vocabulary, ids, templates, side.chat, card_fields(folder), notes)


def _check_weights(weights: FolderWeights, tensors: list[LlamaTensor], folder: Path) -> None:
    missing = [tensor.name for tensor in tensors if tensor.name not in weights.tensors]
    if missing:
        raise InputError(f"{folder}: {len(missing)} of {len(tensors)} tensors are missing, {missing[0]} for example; the folder is not whole, fetch it again")
    for tensor in tensors:
        info = weights.tensors[tensor.name]
        if info.shape != tensor.shape:
            shapes = f"{list(info.shape)}, and config.json tells of {list(tensor.shape)}"
            raise InputError(f"{folder}: {tensor.name} has the shape {shapes}; weights and config.json are of two models")
        if str(info.dtype) not in STORED:
            raise InputError(f"{folder}: {tensor.name} is of type {info.dtype}; exported are weights in float32, bfloat16 and float16")
    known = {tensor.name for tensor in tensors} | {"lm_head.weight"}  # that of a tied model is the embedding
    others = sorted(weights.tensors.keys() - known)
    if others:
        raise InputError(f"{folder}: {len(others)} tensors that a Llama has not, {others[0]} for example; this model is of another architecture")


def special_ids(side: TextSide, unk: str | None, pad: str | None) -> tuple[dict[str, int], list[str]]:
    """Ids of the special tokens, and what llama.cpp will not take of them.

    EOS is the tokenizer's. Of the two other end tokens that a GGUF file has, EOT is what else ends an answer, and EOM what ends one too, or the token that
    begins the next document.

    InputError: an id that no token has, or no end token at all.
    """
    runtime, starts, known = side.tokenizer.runtime, side.starts, side.tokenizer.token_bytes
    ends = dict.fromkeys(token_id for token_id in (*side.generation_stops, *side.stop_ids) if token_id != starts.document)
    if starts.eos is None and not ends:
        raise InputError(f"{side.folder}: no file names an end token (eos_token), and a model without one never stops; name it in tokenizer_config.json")
    eos = starts.eos if starts.eos is not None else next(iter(ends))
    ids = {"bos": eos if starts.bos is None else starts.bos, "eos": eos}  # llama.cpp takes id 11 or 1 where a file names no BOS
    named = {name: runtime.token_to_id(text) for name, text in (("unk", unk), ("pad", pad)) if text}
    ids |= {name: int(token_id) for name, token_id in named.items() if token_id is not None}
    others = [token_id for token_id in ends if token_id != eos]
    ids |= dict(zip(("eot", "eom"), others, strict=False))
    if starts.document != eos:
        ids.setdefault("eom", starts.document)
    for token_id in (*ends, *ids.values()):
        if token_id not in known:
            raise InputError(f"{side.folder}: a special token has the id {token_id:,}, and the tokenizer has no such token; they are of two models")
    texts = [known[token_id].decode("utf-8", errors="replace") for token_id in others[2:]]
    notes = [f"a GGUF file names three end tokens; '{text}' is a fourth, at which llama.cpp will not stop" for text in texts if text not in KNOWN_ENDS]
    return ids, notes


def chat_templates(folder: Path) -> dict[str, str]:
    """The chat templates of a folder by name, that without a name as "default"."""
    path = folder / "tokenizer_config.json"
    listed = _mapping(path).get("chat_template") if path.is_file() else None
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    named = {str(entry.get("name")): str(entry.get("template")) for entry in entries}
    named |= {path.stem: read_text(path) for path in sorted((folder / MORE_TEMPLATES).glob("*.jinja"))}
    default = own_template(folder)
    return named if default is None else named | {"default": default}


def base_license(folder: Path) -> str | None:
    """The license that the README of a base's folder names, as the hub reads it; None where it names none, or one that stands elsewhere."""
    license = card_fields(folder).get("license")
    return license if isinstance(license, str) and license not in ("other", "unknown") else None


def card_fields(folder: Path) -> dict[str, Any]:
    """The front matter of the folder's README.md; empty where there is none that can be read."""
    path = folder / "README.md"
    front = re.match(r"\A---\r?\n(.*?)\r?\n---", read_text(path), re.DOTALL) if path.is_file() else None
    try:
        fields = parse_yaml(front[1], str(path)).value if front else None
    except UsageError:
        return {}
    return fields if isinstance(fields, dict) else {}


def texts_of(value: Any) -> list[str]:
    """A card's entry as a list of texts, whether it is one or several."""
    values: Iterable[Any] = value if isinstance(value, list) else [] if value is None else [value]
    return [str(entry) for entry in values]


def _name(folder: Path) -> str:
    """The folder's own name; that of the run where the folder is RUN/stages/ID/final."""
    parts = folder.resolve().parts
    return f"{parts[-4]}-{parts[-2]}" if len(parts) > 4 and parts[-1] == "final" and parts[-3] == "stages" else parts[-1]


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object; fetch the file again")
    return value
