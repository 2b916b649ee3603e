"""Which part of a vision-language model is its language part."""

from __future__ import annotations

import pytest
import transformers

from jp_adapt.core.errors import InputError
from jp_adapt.model.vision import TEXT_DEFAULTS, language_part, with_language, with_token_ids

EMBEDDINGS = {
    "llava": ["language_model.model.embed_tokens.weight"],
    "idefics3": ["model.text_model.embed_tokens.weight"],
    "mllama": ["language_model.model.embed_tokens.weight"],
    "bunny-llama": ["model.embed_tokens.weight"],
}


def part_of(config, names):
    part = language_part(config, names, "config.json")
    assert part is not None
    return part


@pytest.mark.parametrize(("text_type", "config"), [(name, transformers.CONFIG_MAPPING[name]()) for name in TEXT_DEFAULTS])
def test_what_a_text_config_leaves_out_is_the_default_of_transformers(text_type, config):
    theta = {"rope_theta": config.rope_parameters["rope_theta"]} if "rope_theta" in TEXT_DEFAULTS[text_type] else {}
    assert {name: theta.get(name, getattr(config, name, None)) for name in TEXT_DEFAULTS[text_type]} == TEXT_DEFAULTS[text_type]


@pytest.mark.parametrize("kind", ["llava", "llava_next", "idefics3", "smolvlm"])
def test_a_short_configuration_means_what_transformers_takes_it_for(kind):
    text = {"model_type": "llama", "vocab_size": 32_064, "max_position_embeddings": 4096}  # as that of llava-1.5-7b-hf, without its rms_norm_eps
    config = {"model_type": kind, "text_config": text}
    own = part_of(config, ["language_model.model.embed_tokens.weight", "model.text_model.embed_tokens.weight"]).config
    known = transformers.CONFIG_MAPPING[kind].from_dict(config).text_config
    assert {key: own[key] for key in (*TEXT_DEFAULTS["llama"],)} == {key: getattr(known, key) for key in TEXT_DEFAULTS["llama"]}


@pytest.mark.parametrize(
    ("kind", "text", "whole", "tied"),
    [
        ("llava", True, False, True),
        ("llava", False, True, True),
        ("llava_next", True, False, False),
        ("idefics3", True, False, False),
        ("idefics3", False, True, True),
    ],
)
def test_a_head_is_tied_where_transformers_ties_it(kind, text, whole, tied):
    config = {"model_type": kind, "text_config": {"tie_word_embeddings": text}, "tie_word_embeddings": whole}
    names = ["language_model.model.embed_tokens.weight", "model.text_model.embed_tokens.weight"]
    assert part_of(config, names).config["tie_word_embeddings"] is tied
    assert transformers.CONFIG_MAPPING[kind].from_dict(config).tie_word_embeddings is tied


def test_tensors_are_told_by_what_their_names_begin_with():
    names = [
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.1.self_attn.q_proj.weight",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
        "vision_tower.vision_model.encoder.layers.1.self_attn.q_proj.weight",
        "vision_tower.encoder.layers.1.self_attn.q_proj.weight",
        "multi_modal_projector.linear_1.weight",
        "image_newline",
    ]
    part = part_of({"model_type": "llava_next"}, names)
    own = part.names(names)
    assert own == {
        "model.embed_tokens.weight": names[0],
        "model.layers.1.self_attn.q_proj.weight": names[1],
        "model.norm.weight": names[2],
        "lm_head.weight": names[3],
    }
    assert {name: part.file_name(name) for name in own} == own


def test_the_configuration_of_llama_3_evovlm_jp_v2():
    """What it leaves out is what Llama-3-8B has; `vocab_size` stands twice."""
    text = {"model_type": "llama", "vocab_size": 128_258, "intermediate_size": 14_336, "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "rope_theta": 5e5}
    config = {"model_type": "llava", "image_token_index": 128_256, "text_config": text, "torch_dtype": "float16", "vocab_size": 128_258}
    part = part_of(config, EMBEDDINGS["llava"])
    known = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "rope_theta": 500_000.0, "tie_word_embeddings": False}
    assert {key: part.config[key] for key in known} == known
    changed = with_language(config, part, rows=128_300, layers=32, tied=False, dtype="bfloat16")
    assert (changed["vocab_size"], changed["text_config"]["vocab_size"], changed["dtype"]) == (128_300, 128_300, "bfloat16")
    assert "torch_dtype" not in changed


def test_plain_names_beside_a_tower_of_their_own():
    """As Bunny's files have them."""
    names = ["model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight"]
    others = ["model.vision_tower.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", "model.mm_projector.0.weight"]
    part = part_of({"model_type": "bunny-llama", "hidden_size": 64, "num_attention_heads": 4}, [*names, *others])
    assert part.names([*names, *others]) == {name: name for name in names}
    assert part.own_code
    assert (part.config["model_type"], part.config["hidden_size"], part.config["num_hidden_layers"]) == ("llama", 64, 32)


def test_layers_with_cross_attention_are_no_layers_of_the_language_part():
    layers = [f"language_model.model.layers.{number}.mlp.up_proj.weight" for number in range(5)]
    config = {"model_type": "mllama", "text_config": {"num_hidden_layers": 5, "cross_attention_layers": [1, 3]}}
    part = part_of(config, EMBEDDINGS["mllama"])
    assert part.names(layers) == {f"model.layers.{place}.mlp.up_proj.weight": layers[number] for place, number in enumerate((0, 2, 4))}
    assert part.file_name("model.layers.2.mlp.up_proj.weight") == layers[4]
    assert (part.config["num_hidden_layers"], part.config["model_type"]) == (3, "llama")
    assert with_language(config, part, rows=8, layers=3, tied=False, dtype="float32")["text_config"]["num_hidden_layers"] == 5


def test_a_plain_model_has_no_language_part():
    assert language_part({"model_type": "llama"}, ["model.embed_tokens.weight"], "config.json") is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "qwen2_vl", "vision_config": {}}, "here/config.json: a vision-language model of the kind 'qwen2_vl'; known are llava,"),
        (
            {"model_type": "llava", "text_config": {"model_type": "qwen2"}},
            "its language part is a 'qwen2'; known are those of the Llama family: llama, mistral",
        ),
        ({"model_type": "idefics3"}, "no tensor model.text_model.embed_tokens.weight, as the files of a idefics3 have; the folder is not whole"),
    ],
)
def test_what_is_not_known_is_refused(config, message):
    with pytest.raises(InputError, match=message):
        language_part(config, EMBEDDINGS["llava"], "here/config.json")


def test_special_tokens_move_with_their_rows():
    config = {"image_token_index": 4, "pad_token_id": -1, "text_config": {"eos_token_id": [1, 2], "bos_token_id": None}, "image_seq_length": 4}
    moved = with_token_ids(config, {1: 1, 2: 7, 4: 9}, "'vlm'")
    assert moved == {"image_token_index": 9, "pad_token_id": -1, "text_config": {"eos_token_id": [1, 7], "bos_token_id": None}, "image_seq_length": 4}
    with pytest.raises(InputError, match="'vlm': image_token_index is 4, a token that the merged vocabulary does not have"):
        with_token_ids(config, {1: 1, 2: 7}, "'vlm'")
