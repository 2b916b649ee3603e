"""Small vision-language models of the real architectures, randomly initialised, around the tokenizer of the small Llama."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

IMAGE, PAD = "<image>", "<pad>"
AROUND = ("<fake_token_around_image>", "<global-img>", *(f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)))  # in Idefics3 and SmolVLM
SEEING = ("llava", "llava_next", "idefics3", "smolvlm", "mllama")
PLACES = {"llava": 4, "llava_next": 10, "idefics3": 4, "smolvlm": 4, "mllama": 1}  # of a picture of `PIXELS` pixels in a text
PIXELS, PATCH = 28, 14
CROSSING = (1, 3)  # layers of cross-attention in the small Mllama, which has four


def make_seeing(kind: str, pico: Path, folder: Path, *, seed: int = 0, tied: bool = True) -> Path:
    """A model of `kind` as a folder: tokenizer of `pico` with two tokens more, language part of its size."""
    import torch
    import transformers

    folder.mkdir(parents=True)
    config = json.loads((pico / "config.json").read_text(encoding="utf-8"))
    added = [IMAGE, PAD, *(AROUND if kind in ("idefics3", "smolvlm") else ())]
    first = config["vocab_size"]
    rows = first + len(added)
    keys = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "max_position_embeddings", "rms_norm_eps")
    text: dict[str, Any] = {key: config[key] for key in keys} | {
        "vocab_size": rows,
        "num_hidden_layers": 2,
        "tie_word_embeddings": tied,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": first + 1,
    }
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": PIXELS, "patch_size": PATCH}
    torch.manual_seed(seed)
    if kind in ("llava", "llava_next"):
        classes = transformers.LlavaConfig, transformers.LlavaForConditionalGeneration
        more: dict[str, Any] = {"image_seq_length": 4}
        if kind == "llava_next":
            classes = transformers.LlavaNextConfig, transformers.LlavaNextForConditionalGeneration
            more |= {"image_grid_pinpoints": [[PIXELS, PIXELS]]}
        parts = {"vision_config": {"model_type": "clip_vision_model", "projection_dim": 16} | tower, "text_config": {"model_type": "llama"} | text}
        whole = classes[0](**parts, image_token_index=first, tie_word_embeddings=tied, vision_feature_layer=-2, **more)
    elif kind in ("idefics3", "smolvlm"):
        names = {"idefics3": ("Idefics3Config", "Idefics3ForConditionalGeneration"), "smolvlm": ("SmolVLMConfig", "SmolVLMForConditionalGeneration")}[kind]
        classes = getattr(transformers, names[0]), getattr(transformers, names[1])
        parts = {"vision_config": tower | {"patch_size": 7}, "text_config": {"model_type": "llama"} | text}
        whole = classes[0](**parts, image_token_id=first, pad_token_id=first + 1, tie_word_embeddings=tied, scale_factor=2)
    else:
        classes = transformers.MllamaConfig, transformers.MllamaForConditionalGeneration
        tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_global_layers": 1, "attention_heads": 2, "patch_size": PATCH}
        tower |= {"image_size": PIXELS, "max_num_tiles": 1, "supported_aspect_ratios": [[1, 1]], "intermediate_layers_indices": [0], "vision_output_dim": 32}
        # Its embedding has eight rows more than its head: the image's token is among them.
        text |= {"vocab_size": first, "num_hidden_layers": 4, "cross_attention_layers": list(CROSSING), "tie_word_embeddings": False}
        text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}}
        whole = classes[0](vision_config=tower, text_config=text, image_token_index=first)
    model = classes[1](whole)
    model.generation_config.pad_token_id = first + 1
    model.save_pretrained(folder)
    add_tokens(pico, folder, added)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor(kind)), encoding="utf-8")
    return folder


def add_tokens(source: Path, folder: Path, added: Sequence[str]) -> None:
    """The tokenizer of a folder with special tokens more, behind its own."""
    spec = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    first = len(spec["model"]["vocab"].keys() | {token["content"] for token in spec["added_tokens"]})
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    spec["added_tokens"] += [{"id": first + place, "content": token} | flags for place, token in enumerate(added)]
    (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    shutil.copy(source / "tokenizer_config.json", folder)


def preprocessor(kind: str, pixels: int = PIXELS) -> dict[str, Any]:
    """What preprocessor_config.json says."""
    size = {"size": {"shortest_edge": pixels}, "crop_size": {"height": pixels, "width": pixels}}
    own: dict[str, dict[str, Any]] = {
        "llava": {"image_processor_type": "CLIPImageProcessor"} | size,
        "llava_next": {"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": [[PIXELS, PIXELS]]} | size,
        "idefics3": {"image_processor_type": "Idefics3ImageProcessor", "size": {"longest_edge": 2 * PIXELS}, "max_image_size": {"longest_edge": PIXELS}},
        "smolvlm": {"image_processor_type": "SmolVLMImageProcessor", "size": {"longest_edge": PIXELS}, "max_image_size": {"longest_edge": PIXELS}},
        "mllama": {"image_processor_type": "MllamaImageProcessor", "size": {"height": PIXELS, "width": PIXELS}, "max_image_tiles": 1},
    }
    return own[kind] | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def answer_with_picture(folder: Path, kind: str) -> list[int]:
    """Ids that the model of a folder, loaded by transformers, writes about a picture of noise."""
    import torch
    import transformers

    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    generator = torch.Generator().manual_seed(1)
    config = model.config
    token, count = config.image_token_id, PLACES[kind]
    ids = torch.tensor([[5, *([token] * count), 9, 8]])
    pixels = torch.randn(1, 3, PIXELS, PIXELS, generator=generator).to(model.dtype)
    more: dict[str, Any] = {}
    if kind == "llava_next":
        pixels, more = pixels[:, None].repeat(1, 2, 1, 1, 1), {"image_sizes": torch.tensor([[PIXELS, PIXELS]])}
    elif kind in ("idefics3", "smolvlm"):
        pixels = pixels[:, None]
    elif kind == "mllama":
        pixels, more = pixels[:, None, None], {"aspect_ratio_ids": torch.tensor([[1]]), "aspect_ratio_mask": torch.tensor([[[1]]])}
        more |= {"cross_attention_mask": torch.ones(1, ids.shape[1], 1, 1)}
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels, max_new_tokens=4, min_new_tokens=4, do_sample=False, **more)
    return [int(token) for token in out[0, ids.shape[1] :]]
