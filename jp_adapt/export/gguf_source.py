"""A model folder as a GGUF file needs it: configuration, tensors, tokenizer, ids of special tokens, chat template; checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, read_text
from jp_adapt.export.gguf_folder import CHAT_TEMPLATE, MORE_TEMPLATES
from jp_adapt.model.gguf_tensors import LlamaTensor, llama_tensors
from jp_adapt.model.weight_files import WeightFiles
from jp_adapt.tokenizer.gguf import Vocabulary, vocabulary_of
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer

MAX_UNUSED_SHARE = 0.1  # of the embedding's rows; published models pad by up to 2.4 % (DeepSeek: 100,015 tokens, 102,400 rows)
KNOWN_ENDS = ("<|eot_id|>", "<|im_end|>", "<|end_of_text|>", "<|endoftext|>", "<|eom_id|>", "</s>", "<end_of_turn>")  # llama.cpp ends at these by their text


@dataclass(frozen=True)
class GgufSource:
    """What a model folder holds.

    Attributes:
        ids: of bos, eos, eot, eom, unk and pad, those that there are.
        templates: chat templates by name, the one without a name as "default".
        card: front matter of the README, as far as it has one.
        notes: what the file will do otherwise than the folder.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    weights: WeightFiles
    tensors: list[LlamaTensor]
    loaded: LoadedTokenizer
    vocabulary: Vocabulary
    ids: dict[str, int]
    templates: dict[str, str]
    card: dict[str, Any]
    notes: list[str]

    @property
    def tied(self) -> bool:
        return all(tensor.gguf != "output.weight" for tensor in self.tensors)

    @property
    def weights_dtype(self) -> str:
        """F32, F16 or BF16: the type of the embedding."""
        return self.weights.dtype(self.tensors[0].name)


def read_source(folder: Path, name: str | None = None) -> GgufSource:
    """Read and check a model folder. InputError names what is missing, cut short, of another model, or not known to llama.cpp."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no config.json here; give the folder of a Hugging Face model")
    place = str(folder / "config.json")
    config = _mapping(folder / "config.json")
    tensors = llama_tensors(config, place)
    weights = WeightFiles(folder)
    _check_weights(weights, tensors, folder)
    loaded = load_tokenizer(folder)
    names = _optional(folder / "tokenizer_config.json")
    ids, notes = special_ids(folder, loaded, config, names)
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
    return GgufSource(
        folder, name or _name(folder), config, weights, tensors, loaded, vocabulary, ids, chat_templates(folder, names), card_fields(folder), notes
    )


def _check_weights(weights: WeightFiles, tensors: list[LlamaTensor], folder: Path) -> None:
    missing = [tensor.name for tensor in tensors if tensor.name not in weights]
    if missing:
        raise InputError(f"{folder}: {len(missing)} of {len(tensors)} tensors are missing, {missing[0]} for example; the folder is not whole, fetch it again")
    for tensor in tensors:
        if weights.shape(tensor.name) != tensor.shape:
            shapes = f"{list(weights.shape(tensor.name))}, and config.json tells of {list(tensor.shape)}"
            raise InputError(f"{folder}: {tensor.name} has the shape {shapes}; weights and config.json are of two models")
    known = {tensor.name for tensor in tensors} | {"lm_head.weight"}  # that of a tied model is the embedding
    others = [name for name in weights.names() if name not in known and not name.endswith("rotary_emb.inv_freq")]
    if others:
        raise InputError(f"{folder}: {len(others)} tensors that a Llama has not, {others[0]} for example; this model is of another architecture")


def special_ids(folder: Path, loaded: LoadedTokenizer, config: Mapping[str, Any], names: Mapping[str, Any]) -> tuple[dict[str, int], list[str]]:
    """Ids of the special tokens, and what llama.cpp will not take of them.

    EOS is the tokenizer's; what else ends a generation (generation_config.json, config.json) is EOT, then EOM, the two other end tokens that a GGUF file has.

    InputError: an id that no token has, or no end token at all.
    """
    tokenizer = loaded.tokenizer
    ids: dict[str, int] = {}
    for name in ("bos", "eos", "unk", "pad"):
        text = names.get(f"{name}_token")
        text = text.get("content") if isinstance(text, dict) else text
        token_id = tokenizer.runtime.token_to_id(text) if isinstance(text, str) else None
        if token_id is not None:
            ids[name] = int(token_id)
    generation = _optional(folder / "generation_config.json")
    stops = list(dict.fromkeys([*_ids(generation.get("eos_token_id")), *_ids(config.get("eos_token_id"))]))
    for name, known in (("bos", _ids(config.get("bos_token_id"))), ("eos", stops)):
        if name not in ids and known:
            ids[name] = known[0]
    if "eos" in ids:
        ids.setdefault("bos", ids["eos"])  # llama.cpp takes id 11 or 1 where a file names none
    else:
        raise InputError(f"{folder}: no file names an end token (eos_token), and a model without one never stops; name it in tokenizer_config.json")
    known_ids = tokenizer.token_bytes.keys()
    for token_id in (*stops, *ids.values()):
        if token_id not in known_ids:
            raise InputError(f"{folder}: a special token has the id {token_id:,}, and the tokenizer has no such token; they are of two models")
    others = [token_id for token_id in stops if token_id != ids["eos"]]
    ids |= dict(zip(("eot", "eom"), others, strict=False))
    texts = {token_id: tokenizer.token_bytes[token_id].decode("utf-8", errors="replace") for token_id in others[2:]}
    lost = [text for text in texts.values() if text not in KNOWN_ENDS]
    return ids, [f"a GGUF file names three end tokens; '{text}' is a fourth, at which llama.cpp will not stop" for text in lost]


def chat_templates(folder: Path, names: Mapping[str, Any]) -> dict[str, str]:
    """The chat templates of a folder by name, in the places where transformers 5 and 4 put them."""
    others = {path.stem: read_text(path) for path in sorted((folder / MORE_TEMPLATES).glob("*.jinja"))}
    if (folder / CHAT_TEMPLATE).is_file():
        return {"default": read_text(folder / CHAT_TEMPLATE)} | others
    given = names.get("chat_template")
    if isinstance(given, str):
        return {"default": given} | others
    entries = given if isinstance(given, list) else []
    return {str(entry["name"]): str(entry["template"]) for entry in entries if isinstance(entry, dict) and {"name", "template"} <= entry.keys()}


def card_fields(folder: Path) -> dict[str, Any]:
    """The front matter of the folder's README.md; empty where there is none that can be read."""
    path = folder / "README.md"
    front = re.match(r"\A---\r?\n(.*?)\r?\n---", read_text(path), re.DOTALL) if path.is_file() else None
    try:
        fields = yaml.safe_load(front[1]) if front else None
    except yaml.YAMLError:
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


def _ids(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [entry for entry in values if type(entry) is int]


def _optional(path: Path) -> dict[str, Any]:
    return _mapping(path) if path.is_file() else {}


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object; fetch the file again")
    return value
