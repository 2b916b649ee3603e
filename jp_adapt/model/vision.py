"""Vision-language models whose language part is a Llama: what config.json says of that part, and which tensors of the file it is. Nothing here imports torch.

Names in files differ from those of modules, and the vision tower has layers with `self_attn.q_proj` too: tensors are told by what their names begin with
(read in transformers 5.24, and in the files that it writes).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError

BODY, HEAD = "model.", "lm_head.weight"  # in a plain Llama
BODY_PARTS = re.compile(r"embed_tokens\.weight$|norm\.weight$|layers\.(\d+)\.")
TOKEN_ID = re.compile(r"_token_(id|index)$")
TIED = "tie_word_embeddings"

# What prepares images, and puts them into a text. `chat_template.json` is where earlier versions of transformers keep the template.
IMAGE_FILES = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json", "chat_template.json")

# What a text_config leaves out where it is the default of its class in transformers.
TEXT_DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": {
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048,
    },
    "mistral": {
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 131_072,
        "sliding_window": 4096,
    },
    "mllama_text_model": {
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 40,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "max_position_embeddings": 131_072,
        "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
    },
}


@dataclass(frozen=True)
class Kind:
    """A kind of vision-language model.

    Attributes:
        names: what the names of the body begin with in the file, and the name of the head there; of several ways the one that fits.
        text_ties: whether `tie_word_embeddings` of the text_config ties the head too; else that of the whole configuration alone does.
        flat: the configuration is that of a plain model with more keys, and transformers does not have the code.
    """

    names: tuple[tuple[str, str], ...]
    text_ties: bool = False
    flat: bool = False


_LLAVA = (("language_model.model.", "language_model.lm_head.weight"), ("model.language_model.", HEAD))
_IDEFICS = (("model.text_model.", HEAD),)
_PLAIN = ((BODY, HEAD),)

KINDS: dict[str, Kind] = {
    "llava": Kind(_LLAVA, text_ties=True),
    "llava_next": Kind(_LLAVA),
    "idefics3": Kind(_IDEFICS),
    "smolvlm": Kind(_IDEFICS),
    "mllama": Kind(_LLAVA),
    "bunny-llama": Kind(_PLAIN, flat=True),
    "llava_llama": Kind(_PLAIN, flat=True),
    "llava_mistral": Kind(_PLAIN, flat=True),
}
FLAT_TEXT = {"bunny-llama": "llama", "llava_llama": "llama", "llava_mistral": "mistral"}


@dataclass(frozen=True)
class LanguagePart:
    """The language part of a vision-language model.

    Attributes:
        kind: `model_type` of the whole.
        config: that of a plain model with the same weights.
        body: what the names of its tensors begin with in the file.
        head: name of the head there.
        layers: number in the file of each layer, where layers of another kind stand between them (cross-attention in Mllama).
    """

    kind: str
    config: dict[str, Any]
    body: str
    head: str
    layers: tuple[int, ...] | None = None

    @property
    def own_code(self) -> bool:
        """Whether transformers does not have the code of the whole."""
        return KINDS[self.kind].flat

    def file_name(self, name: str) -> str:
        """The name in the file of a tensor that a plain Llama calls `name`."""
        if name == HEAD:
            return self.head
        plain = name.removeprefix(BODY)
        match = BODY_PARTS.match(plain)
        if self.layers is not None and match is not None and match[1] is not None:
            plain = f"layers.{self.layers[int(match[1])]}{plain[match.end(1) :]}"
        return self.body + plain

    def names(self, file_names: Collection[str]) -> dict[str, str]:
        """Name in a plain Llama -> name in the file, of the tensors in the file that belong to the language part."""
        places = None if self.layers is None else {number: place for place, number in enumerate(self.layers)}
        results = {}
        for name in file_names:
            plain = name.removeprefix(self.body)
            match = BODY_PARTS.match(plain) if name.startswith(self.body) else None
            if name == self.head:
                results[HEAD] = name
            elif match is not None and match[1] is not None and places is not None:
                if int(match[1]) in places:
                    results[f"{BODY}layers.{places[int(match[1])]}{plain[match.end(1) :]}"] = name
            elif match is not None:
                results[BODY + plain] = name
        return results


def is_vision(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a vision-language model, of a known kind or not."""
    return config.get("model_type") in KINDS or "vision_config" in config


def language_part(config: Mapping[str, Any], file_names: Collection[str], place: str) -> LanguagePart | None:
    """The language part of a model, by its config.json and the names of its tensors; None for a model without images.

    InputError, which begins with `place`, for a kind that is not known, a language part that is no Llama, and a file that does not have it.
    """
    if not is_vision(config):
        return None
    plain, layers = _plain(config, place)
    kind_name = str(config["model_type"])
    for body, head in KINDS[kind_name].names:
        if f"{body}embed_tokens.weight" in file_names:
            return LanguagePart(kind_name, plain, body, head, layers)
    tried = " or ".join(f"{body}embed_tokens.weight" for body, _ in KINDS[kind_name].names)
    raise InputError(f"{place}: no tensor {tried}, as the files of a {kind_name} have; the folder is not whole, or of a version that is not known")


def plain_config(config: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The configuration of a model, or of the language part of one that sees. InputError as of `language_part`."""
    return _plain(config, place)[0] if is_vision(config) else config


def _plain(config: Mapping[str, Any], place: str) -> tuple[dict[str, Any], tuple[int, ...] | None]:
    """The configuration of a language part, all defaults filled in, and the numbers of its layers where others stand between them."""
    kind_name = str(config.get("model_type"))
    if kind_name not in KINDS:
        raise InputError(f"{place}: a vision-language model of the kind '{kind_name}'; known are {', '.join(KINDS)}")
    kind = KINDS[kind_name]
    own: dict[str, Any] = dict(config) if kind.flat else dict(config.get("text_config") or {})
    text_type = FLAT_TEXT[kind_name] if kind.flat else own.get("model_type") or ("mllama_text_model" if kind_name == "mllama" else "llama")
    if text_type not in TEXT_DEFAULTS:
        raise InputError(f"{place}: its language part is a '{text_type}'; known are those of the Llama family: {', '.join(TEXT_DEFAULTS)}")
    tied = bool(own.get(TIED) if kind.flat else config.get(TIED) or (kind.text_ties and own.get(TIED)))
    # Mllama's layers that look at no image compute as Llama's do.
    plain = TEXT_DEFAULTS[text_type] | own | {TIED: tied, "model_type": "llama" if text_type == "mllama_text_model" else text_type}
    if isinstance(plain.get("rope_parameters"), dict):  # a default beside it would be another one's
        plain.pop("rope_theta", None)
    if "cross_attention_layers" not in plain:
        return plain, None
    crossing = set(plain.pop("cross_attention_layers"))
    layers = tuple(number for number in range(plain["num_hidden_layers"]) if number not in crossing)
    return plain | {"num_hidden_layers": len(layers)}, layers


def with_language(config: Mapping[str, Any], part: LanguagePart, *, rows: int, layers: int, tied: bool, dtype: str) -> dict[str, Any]:
    """The configuration of the whole with another language part of its kind; `layers` are counted as a plain model's."""
    whole = {key: value for key, value in config.items() if key not in ("torch_dtype", "_name_or_path")} | {TIED: tied, "dtype": dtype}
    own: dict[str, Any] = {"vocab_size": rows, TIED: tied} | ({"num_hidden_layers": layers} if part.layers is None else {})
    if KINDS[part.kind].flat:
        return whole | own
    text = {key: value for key, value in dict(config.get("text_config") or {}).items() if key not in ("torch_dtype", "dtype")}
    return whole | {"text_config": text | own} | ({"vocab_size": rows} if "vocab_size" in config else {})


def with_token_ids(config: Mapping[str, Any], new_ids: Mapping[int, int], place: str) -> dict[str, Any]:
    """A configuration whose special tokens, the image's among them, have other ids. InputError where the new vocabulary lacks one."""

    def renumbered(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [renumbered(key, entry) for entry in value]
        if type(value) is not int or value < 0:
            return value
        if value not in new_ids:
            raise InputError(f"{place}: {key} is {value}, a token that the merged vocabulary does not have; keep the tokenizer of this model")
        return new_ids[value]

    renamed = {key: renumbered(key, value) if TOKEN_ID.search(key) else value for key, value in config.items()}
    text = config.get("text_config")
    return renamed | ({"text_config": with_token_ids(text, new_ids, place)} if isinstance(text, dict) else {})


def copy_image_side(source: Path, target: Path) -> None:
    """Copy the files that say how a folder's model takes images."""
    for name in IMAGE_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
