"""A model folder becomes GGUF files: read back they are the folder, in llama.cpp they compute what the folder computes, and a wrong file never appears."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader
from safetensors.torch import load_file, save_file

from jp_adapt.core.errors import GateError, InputError, JpAdaptError, UsageError
from jp_adapt.export import gguf_write, llama_cpp
from jp_adapt.export.gguf import export_gguf
from jp_adapt.export.gguf_folder import convert_gguf
from jp_adapt.export.gguf_source import all_finite, as_float32, read_source
from jp_adapt.export.gguf_types import FILE_TYPES, file_types, tensor_kind
from jp_adapt.model.gguf_tensors import LlamaTensor
from tests.export.conftest import needs_llama_cpp

EXACT = ["F32", "F16", "BF16"]


@pytest.fixture
def without_llama_cpp(monkeypatch):
    """What is proven without llama.cpp, which takes a second for each file."""
    monkeypatch.setattr(llama_cpp, "missing_extra", lambda extra: f"{extra} is away")


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


def test_digits_that_llama_cpp_does_not_know_are_told_and_no_reason_to_keep_a_file_back(sp_model, monkeypatch):
    """Real tokenizers differ there (export_tokens); the tests' own hold too few merges to."""
    source = read_source(sp_model)

    def cut(client, text, *, special, odd=llama_cpp.NEW_DIGIT):
        return [0] if text == odd else source.loaded.tokenizer.encode(text)

    monkeypatch.setattr(llama_cpp, "tokenized", cut)
    assert llama_cpp._check_ids(source, None).endswith(
        "probe texts differ; it does not know the digits of Unicode 16 as digits, and cuts texts that hold them otherwise"
    )
    monkeypatch.setattr(llama_cpp, "tokenized", partial(cut, odd=llama_cpp.PROBE_TEXTS[-1]))
    with pytest.raises(GateError, match=r"llama\.cpp cuts .* otherwise than the tokenizer of"):
        llama_cpp._check_ids(source, None)


def test_bytes_without_a_token_are_told(sp_model, monkeypatch):
    """SmolLM2 lacks eight: `tokenizers` drops them, and llama.cpp cuts what stands beside them otherwise."""
    source = read_source(sp_model)
    tokenizer = source.loaded.tokenizer
    monkeypatch.setattr(llama_cpp, "tokenized", lambda client, text, *, special: tokenizer.encode(text))
    assert "no token" not in llama_cpp._check_ids(source, None)
    monkeypatch.setitem(tokenizer.__dict__, "missing_bytes", (4, 6))
    assert llama_cpp._check_ids(source, None).endswith("probe texts differ; 2 bytes have no token, and it cuts what stands beside one otherwise")


def _probes(model: Path) -> int:
    special = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    return len(llama_cpp.PROBE_TEXTS) + min(64, len(special))


@pytest.mark.usefixtures("without_llama_cpp")
def test_reading_a_file_and_writing_it_again_gives_the_same_bytes(model, tmp_path):
    types = [*EXACT, "Q8_0"]
    for export in export_gguf(model, tmp_path / "one" / "model.gguf", types):
        assert export.proven[1] == "not checked in llama.cpp: gguf is away"
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


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ('{"content": "a"}', r"llama\.cpp's reply has no probabilities: completion_probabilities: the key is missing"),
        ('{"completion_probabilities": []}', r"llama\.cpp's reply has no probabilities, though they were asked for"),
        ('{"completion_probabilities": [{"top_logprobs": [{"id": "1", "logprob": -1.0}]}]}', r"a whole number is needed, not \"1\""),
        ("<html>", r"llama\.cpp's reply has no probabilities: not JSON|not valid JSON"),
    ],
)
def test_a_reply_of_llama_cpp_without_probabilities_is_told(reply, message):
    with pytest.raises(InputError, match=message):
        llama_cpp._likely_tokens(reply)


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


BROKEN_FOLDERS = [
    ("no config", lambda folder: (folder / "config.json").unlink(), r"no config\.json here"),
    ("no weights", lambda folder: (folder / "model.safetensors").unlink(), r"no model\.safetensors and no model\.safetensors\.index\.json here, no weights"),
    ("half the weights", lambda folder: _cut(folder / "model.safetensors"), r"model\.safetensors: not a whole safetensors file"),
    (
        "a tensor is missing",
        lambda folder: _without(folder, "model.layers.1.mlp.up_proj.weight"),
        r"1 of 21 tensors are missing, model\.layers\.1\.mlp\.up_proj",
    ),
    ("a shard is missing", lambda folder: _index(folder, "model-00002-of-00002.safetensors"), r"names model-00002-of-00002\.safetensors, which is missing"),
    ("no tokenizer", lambda folder: _remove_tokenizer(folder), r"no tokenizer\.json and no tokenizer\.model here"),
    ("another model's weights", lambda folder: _set(folder, hidden_size=128), r"has the shape \[\d+, 64\], and config\.json tells of \[\d+, 128\]"),
    ("another kind of model", lambda folder: _set(folder, model_type="gemma"), r"a model of the kind 'gemma'; exported are llama and mistral"),
    ("quantised weights", lambda folder: _set(folder, quantization_config={"quant_method": "gptq"}), "its weights are quantised already"),
    ("scaling by length", lambda folder: _set(folder, rope_parameters={"rope_type": "dynamic", "factor": 2.0}), "rope scaling of the kind 'dynamic'"),
    ("scaling without its factor", lambda folder: _set(folder, rope_parameters={"rope_type": "linear"}), "rope scaling linear without factor"),
    (
        "an end token of another model",
        lambda folder: _set(folder, "generation_config.json", eos_token_id=128001),
        "has the id 128,001, and the tokenizer has no",
    ),
    (
        "a weight that is not a number",
        lambda folder: _weight(folder, float("nan")),
        r"layers\.0\.mlp\.down_proj\.weight holds a weight that is not a finite number",
    ),
    ("a weight beyond float16", lambda folder: _weight(folder, 1e6), r"holds 1e\+06, beyond what float16 can hold \(65,504\); take BF16 or F32"),
    ("rows without tokens", lambda folder: _more_rows(folder, 200), r"200 of 1,000 rows of the embedding have no token; this is another model's tokenizer"),
    ("fewer rows than tokens", lambda folder: _more_rows(folder, -1), "the tokenizer has 800 tokens, and the embedding 799 rows; they do not belong together"),
]


@pytest.mark.parametrize(("damage", "message"), [entry[1:] for entry in BROKEN_FOLDERS], ids=[entry[0] for entry in BROKEN_FOLDERS])
def test_a_broken_folder_is_one_clear_error_and_leaves_nothing(sp_model, tmp_path, damage, message):
    folder = tmp_path / "model"
    shutil.copytree(sp_model, folder)
    damage(folder)
    with pytest.raises(InputError, match=message):
        export_gguf(folder, tmp_path / "out" / "model.gguf", ["F16"])
    assert not [path for path in tmp_path.rglob("*") if "gguf" in path.name]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_number_that_is_not_finite_is_seen_as_it_is_stored(dtype):
    limits = torch.finfo(dtype)
    rows = torch.tensor([[0.0, -0.0, limits.max, limits.min], [limits.tiny, limits.smallest_normal / 2, 1.0, -1.0]], dtype=dtype)
    for value in (None, float("nan"), float("inf"), -float("inf")):
        if value is not None:
            rows[1, 2] = value
        stored = (rows.view(torch.uint16) if dtype == torch.bfloat16 else rows).numpy()
        assert all_finite(stored) == (value is None)
        assert np.array_equal(as_float32(stored), rows.float().numpy(), equal_nan=True)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _without(folder: Path, name: str) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _weight(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"][-1, -1] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _more_rows(folder: Path, number: int) -> None:
    weights = load_file(folder / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        rows = weights[name]
        weights[name] = torch.cat([rows, torch.zeros(number, rows.shape[1])]) if number > 0 else rows[:number].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    _set(folder, vocab_size=len(weights["lm_head.weight"]))


def _index(folder: Path, name: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"model.norm.weight": name}}), encoding="utf-8")


def _remove_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer.model"):
        (folder / name).unlink()


def _set(folder: Path, file: str = "config.json", **values: object) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_a_file_that_exists_is_left_alone(sp_model, tmp_path):
    (tmp_path / "model-F32.gguf").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"model-F32\.gguf: exists already; give another --out"):
        export_gguf(sp_model, tmp_path / "model.gguf", ["F16", "F32"])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("model-F32.gguf", b"mine")]


def test_a_full_disk_is_told_before_anything_is_written(sp_model, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(JpAdaptError, match=r"needs 0\.0 GB, and 0\.0 GB are free in .*; free some space, or choose another --out"):
        export_gguf(sp_model, tmp_path / "model.gguf", ["F32"])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_fills_up_while_writing_leaves_nothing(sp_model, tmp_path, monkeypatch):
    written = gguf_write._write_header

    def to_full_disk(source, file_type, kinds, path):
        written(source, file_type, kinds, path)
        path.unlink()
        path.symlink_to("/dev/full")

    monkeypatch.setattr(gguf_write, "_write_header", to_full_disk)
    with pytest.raises(JpAdaptError, match=r"cannot be written \(No space left on device\); free some space or choose another place"):
        export_gguf(sp_model, tmp_path / "model.gguf", ["F32"])
    assert not list(tmp_path.iterdir())


KILLED = """
import sys, time
from pathlib import Path
from jp_adapt.export import gguf, gguf_write
right = gguf_write.encoded
def slow(*arguments):
    print("writing", flush=True)
    time.sleep(60)
    return right(*arguments)
gguf_write.encoded = slow
gguf.export_gguf(Path(sys.argv[1]), Path(sys.argv[2]), ["F32"])
"""


@pytest.mark.usefixtures("without_llama_cpp")
def test_a_kill_leaves_no_file_and_the_next_export_cleans_up(sp_model, tmp_path):
    out = tmp_path / "model.gguf"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(sp_model), str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = list(tmp_path.iterdir())
    assert len(left) == 1
    assert left[0].name.startswith(".model.gguf.")
    export_gguf(sp_model, out, ["F32"])
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]
    assert oct(out.stat().st_mode & 0o777) == oct(0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("names", "weights", "expected"),
    [
        (["auto"], "BF16", ["BF16"]),
        (["auto"], "F32", ["F16"]),
        (["auto", "f16", "F16"], "F16", ["F16"]),
        (["q8_0", "Q4_0", "q8_0"], "F32", ["Q8_0", "Q4_0"]),
    ],
)
def test_types_by_name(names, weights, expected):
    assert [kind.name for kind in file_types(names, weights)] == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("IQ3_M", r"type IQ3_M: needs an importance matrix, which llama\.cpp measures with llama-imatrix.* or take Q4_K_M"),
        ("iq1_s", "type IQ1_S: needs an importance matrix"),
        ("Q2_K_S", "type Q2_K_S: needs an importance matrix"),
        ("Q4_K", r"type Q4_K: not a type that is exported \(did you mean 'Q4_K_M'\?\); known: auto, F32, F16, BF16, Q8_0, "),
        ("int8", "type INT8: not a type that is exported"),
    ],
)
def test_a_type_that_is_not_made_says_why(name, message):
    with pytest.raises(UsageError, match=message):
        file_types([name], "F32")


def test_the_k_types_need_ggml(monkeypatch):
    monkeypatch.setattr("jp_adapt.core.extras.find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=r"type Q4_K_M, which ggml's own quantiser makes: xllamacpp is not installed; pip install 'jp-adapt\[gguf\]', or take Q8_0"
    ):
        file_types(["F16", "Q4_K_M"], "F32")
    assert [kind.name for kind in file_types(["Q8_0", "Q5_1"], "F32")] == ["Q8_0", "Q5_1"]


def kinds(file_type: str, *, tied: bool = False, layers: int = 16, columns: int = 512, grouped: bool = True) -> dict[str, str]:
    """The type of each tensor of block 1, the embedding, the head and a norm."""
    parts = [LlamaTensor("", f"blk.1.{name}.weight", (256, columns), layer=1) for name in ("attn_q", "attn_v", "ffn_down", "ffn_up")]
    parts += [LlamaTensor("", name, (256, columns)) for name in ("token_embd.weight", "output.weight")] + [LlamaTensor("", "output_norm.weight", (512,))]
    of = FILE_TYPES[file_type]
    return {part.gguf.split(".")[-2]: tensor_kind(part, of, tied=tied, num_layers=layers, grouped=grouped).name for part in parts}


def test_which_tensor_gets_which_type():
    """src/llama-quant.cpp of llama.cpp (b11434): the head, and of the K types also values and down projections of some layers, are kept finer."""
    rest = {"attn_q": "Q4_K", "ffn_up": "Q4_K", "token_embd": "Q4_K", "output": "Q6_K", "output_norm": "F32"}
    assert kinds("Q4_K_M") == rest | {"attn_v": "Q6_K", "ffn_down": "Q6_K"}  # block 1 of 16 is among the first eighth
    assert kinds("Q4_K_M", layers=8) == rest | {"attn_v": "Q4_K", "ffn_down": "Q4_K"}
    assert kinds("Q4_K_M", tied=True)["token_embd"] == "Q6_K"
    assert kinds("Q4_K_M", layers=80)["attn_v"] == "Q6_K"
    assert kinds("Q5_K_M")["attn_q"] == "Q5_K"
    assert set(kinds("Q6_K").values()) == {"Q6_K", "F32"}
    assert set(kinds("Q8_0").values()) == {"Q8_0", "F32"}
    assert kinds("Q4_0") == {
        "attn_q": "Q4_0",
        "attn_v": "Q4_0",
        "ffn_down": "Q4_0",
        "ffn_up": "Q4_0",
        "token_embd": "Q4_0",
        "output": "Q8_0",
        "output_norm": "F32",
    }
    # SmolLM2's rows of 576 numbers hold no blocks of 256
    assert kinds("Q4_K_M", columns=576) == rest | {
        "attn_q": "Q5_0",
        "ffn_up": "Q5_0",
        "token_embd": "Q5_0",
        "attn_v": "Q8_0",
        "ffn_down": "Q8_0",
        "output": "Q8_0",
    }
    assert kinds("Q5_K_M", columns=576)["attn_q"] == "Q5_1"
    assert set(kinds("Q8_0", columns=70).values()) == {"F16", "F32"}


def test_a_model_of_70b_keeps_its_few_values_finer():
    value = LlamaTensor("", "blk.11.attn_v.weight", (256, 512), layer=11)
    of = FILE_TYPES["Q4_K_M"]
    assert tensor_kind(value, of, tied=False, num_layers=80, grouped=True) == Kind.Q5_K
    assert tensor_kind(value, of, tied=False, num_layers=80, grouped=False) == Kind.Q4_K
    assert tensor_kind(value, FILE_TYPES["Q5_K_M"], tied=False, num_layers=80, grouped=True) == Kind.Q5_K


@needs_llama_cpp
def test_what_a_type_costs_is_said(sp_model, tmp_path):
    """A random model loses more by Q4_0 than its predictions carry; F16 and Q8_0 are within 2 %."""
    fine, coarse = export_gguf(sp_model, tmp_path / "model.gguf", ["F16", "Q4_0"])
    assert not fine.notes
    assert len(coarse.notes) == 1
    assert "Q4_0 costs about " in coarse.notes[0]
    assert "a finer type costs less (docs/serving.md)" in coarse.notes[0]
