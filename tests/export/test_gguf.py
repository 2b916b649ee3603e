"""A model folder becomes GGUF files: read back they are the folder, in llama.cpp they compute what the folder computes, and a wrong file never appears."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.torch import load_file

from jp_adapt.core.errors import GateError
from jp_adapt.export import gguf_write, llama_cpp
from jp_adapt.export.gguf import export_gguf
from jp_adapt.export.gguf_folder import convert_gguf
from jp_adapt.model.gguf_tensors import LlamaTensor
from tests.export.conftest import needs_llama_cpp

EXACT = ["F32", "F16", "BF16"]


@pytest.fixture
def without_llama_cpp(monkeypatch):
    """What is proven without llama.cpp, which takes a second for each file."""
    monkeypatch.setattr(llama_cpp, "is_installed", lambda: False)


@needs_llama_cpp
def test_llama_cpp_computes_what_the_folder_computes(model, tmp_path):
    done = export_gguf(model, tmp_path / "model.gguf", ["F32", "F16"])
    assert [export.path.name for export in done] == ["model-F32.gguf", "model-F16.gguf"]
    for export in done:
        assert export.bytes == export.path.stat().st_size
        assert export.proven[:2] == ["fields, tokens and weights, read back", f"ids in llama.cpp: 0 of {_probes(model)} probe texts differ"]
        assert export.proven[2] == "chat prompts in llama.cpp: 0 of 3 differ"
        assert export.proven[3].startswith("probabilities in llama.cpp, against float32 in transformers: KL ")
        assert not export.notes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model-F16.gguf", "model-F32.gguf"]


def _probes(model: Path) -> int:
    special = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    return len(llama_cpp.PROBE_TEXTS) + min(64, len(special))


@pytest.mark.usefixtures("without_llama_cpp")
def test_reading_a_file_and_writing_it_again_gives_the_same_bytes(model, tmp_path):
    types = [*EXACT, "Q8_0"]
    for export in export_gguf(model, tmp_path / "one" / "model.gguf", types):
        assert export.proven[1] == "not checked in llama.cpp, which is not installed (pip install 'jp-adapt[gguf]')"
        folder = tmp_path / export.type / model.name
        folder.mkdir(parents=True)
        convert_gguf(export.path, folder)
        again = export_gguf(folder, tmp_path / f"{export.type}.gguf", [export.type])[0]
        assert again.path.read_bytes() == export.path.read_bytes()


@pytest.mark.usefixtures("without_llama_cpp")
def test_another_reader_finds_the_same(sp_model, tmp_path):
    """gguf's own reader, and the rule of llama.cpp's converter for the order of query rows, written down once more."""
    export_gguf(sp_model, tmp_path / "model.gguf", ["F32"])
    reader = GGUFReader(tmp_path / "model.gguf")
    stored = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    weights = load_file(sp_model / "model.safetensors")
    assert np.array_equal(stored["token_embd.weight"], weights["model.embed_tokens.weight"].numpy())
    assert np.array_equal(stored["blk.1.ffn_down.weight"], weights["model.layers.1.mlp.down_proj.weight"].numpy())
    query = weights["model.layers.0.self_attn.q_proj.weight"]
    expected = query.reshape(4, 2, query.shape[0] // 4 // 2, 64).swapaxes(1, 2).reshape(query.shape)
    assert np.array_equal(stored["blk.0.attn_q.weight"], expected.numpy())
    assert not np.array_equal(stored["blk.0.attn_q.weight"], query.numpy())
    field = {name: entry.contents() for name, entry in reader.fields.items()}
    assert (field["general.type"], field["general.name"], field["general.file_type"]) == ("model", "sentencepiece", 0)
    assert (field["tokenizer.ggml.bos_token_id"], field["tokenizer.ggml.eos_token_id"], field["tokenizer.ggml.add_bos_token"]) == (1, 2, True)
    assert field["tokenizer.ggml.token_type"][:4] == [2, 3, 3, 6]  # <unk>, <s>, </s>, <0x00>


def broken(monkeypatch, target, name, value):
    monkeypatch.setattr(target, name, value)


@needs_llama_cpp
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("query rows in their old order", lambda patch: [patch(LlamaTensor, f"rows_{way}_gguf", lambda tensor, rows: rows) for way in ("to", "from")]),
        ("no factors of the rotary embedding", lambda patch: patch(gguf_write, "_factors", lambda source: None)),
    ],
)
def test_only_llama_cpp_sees_what_reader_and_writer_get_wrong_alike(llama3_model, tmp_path, monkeypatch, name, damage):
    damage(monkeypatch.setattr)
    if "factors" in name:
        monkeypatch.setattr("jp_adapt.export.gguf_check._differing_fields", lambda *_: [])
    with pytest.raises(GateError, match=r"llama\.cpp computes otherwise than the model folder: KL .* nats"):
        export_gguf(llama3_model, tmp_path / "model.gguf", ["F32"])
    assert not list(tmp_path.iterdir())


def _damaged(kind, value):
    def encode(source, block, kinds, right=gguf_write.encoded):
        rows = right(source, block, kinds)
        if block.tensor.gguf == kind:
            rows[0] = rows[0].copy()
            rows[0].view(np.uint8).reshape(-1)[-1] ^= value
        return rows

    return encode


@pytest.mark.usefixtures("without_llama_cpp")
@pytest.mark.parametrize(
    ("target", "name", "value", "kind", "message"),
    [
        (LlamaTensor, "rows_to_gguf", lambda tensor, rows: rows, "F32", r"model\.layers\.0\.self_attn\.q_proj\.weight was not written as it is"),
        (gguf_write, "encoded", _damaged("blk.1.attn_norm.weight", 1), "F32", r"model\.layers\.1\.input_layernorm\.weight was not written as it is"),
        (gguf_write, "encoded", _damaged("output.weight", 64), "Q8_0", r"lm_head\.weight was not written as it is"),
        (gguf_write, "rope_parameters", lambda *_: {"rope_type": "default", "rope_theta": 9.0}, "F32", "rope_theta of its rope parameters"),
        (gguf_write, "ROPE_FACTORS", "rope_factors.weight", "F32", "read back|holds 1 tensors that a Llama has not"),
    ],
)
def test_a_file_that_differs_is_not_kept(sp_model, llama3_model, tmp_path, monkeypatch, target, name, value, kind, message):
    monkeypatch.setattr(target, name, value)
    with pytest.raises(GateError, match=message):
        export_gguf(llama3_model if name == "ROPE_FACTORS" else sp_model, tmp_path / "model.gguf", [kind])
    assert not list(tmp_path.iterdir())
