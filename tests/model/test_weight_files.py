"""Safetensors files that are cut, damaged, or lie about what they hold: one error, with torch and without."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jp_adapt.core.errors import InputError
from jp_adapt.model.causal import ADAPTER_FILE, ROWS_FILE, WEIGHTS_FILE, load_base, load_causal
from jp_adapt.model.sources import folder_files
from jp_adapt.model.weight_files import read_header, read_metadata, read_tensors, write_tensors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tensors = {"a": torch.arange(6, dtype=torch.float32).reshape(2, 3), "empty": torch.zeros(0, 4), "number": torch.tensor(3, dtype=torch.int8)}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"note": "日本"})
    return tmp_path / "x.safetensors"


def _with_header(path: Path, header: object, more: bytes = b"") -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + more)


def test_the_same_tensors_and_metadata_are_the_same_bytes(tmp_path: Path) -> None:
    """safetensors draws an order of the keys for each write: of eight, it is never the same twice in practice."""
    tensors = {name: torch.arange(4.0) for name in ("x", "日本", 'q"')}
    metadata = {f"key {number}": '値\n\t"\\' for number in range(8)}
    for name, order in (("first", metadata), ("again", dict(reversed(metadata.items())))):
        write_tensors(tensors, tmp_path / name, order)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    assert read_metadata(tmp_path / "first") == metadata
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in read_tensors(tmp_path / "first").items())


def test_a_whole_file_is_read(path: Path) -> None:
    header = read_header(path)
    assert {name: (tensor["dtype"], tensor["shape"]) for name, tensor in header.items()} == {
        "a": ("F32", [2, 3]),
        "empty": ("F32", [0, 4]),
        "number": ("I8", []),
    }
    assert torch.equal(read_tensors(path)["a"], torch.arange(6.0).reshape(2, 3))
    assert read_metadata(path) == {"note": "日本"}


A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "more", "message"),
    [
        (b"", b"", "not valid JSON"),
        (b"[" * 5_000, b"", "nested deeper than 100 levels"),
        ([], b"", "the header is not a JSON object"),
        ({"a": 1}, b"", "'a' has no dtype, shape and data_offsets"),
        ({"a": A | {"dtype": "F31"}}, bytes(8), "'a' has no dtype, shape and data_offsets"),
        ({"a": A | {"shape": "ab"}}, bytes(8), "'a' has no dtype, shape and data_offsets"),
        ({"a": A | {"shape": [2.0]}}, bytes(8), "'a' has "),
        ({"a": A | {"shape": [3]}}, bytes(8), "'a' has 8 bytes, and its shape takes 12"),
        ({"a": A | {"shape": [-2], "data_offsets": [8, 0]}}, bytes(8), "'a' has no dtype, shape and data_offsets"),
        ({"a": A | {"shape": ["x", 2]}}, bytes(8), "'a' has no dtype, shape and data_offsets"),
        ({"a": A | {"shape": [2, [1]]}}, bytes(8), "'a' has no dtype, shape and data_offsets"),
        ({"a": A | {"shape": [10**18] * 4}}, bytes(8), "'a' has 8 bytes, and its shape takes"),
        ({"a": A | {"data_offsets": [4, 12]}}, bytes(12), "'a' begins at 4, and what stands before it ends at 0"),
        ({"a": A, "b": A}, bytes(8), "'b' begins at 0, and what stands before it ends at 8"),
        ({"a": A}, bytes(7), "bytes, and its header tells of"),
        ({"a": A}, bytes(9), "bytes, and its header tells of"),
    ],
)
def test_a_header_that_lies_is_told(tmp_path: Path, header: object, more: bytes, message: str) -> None:
    path = tmp_path / "x.safetensors"
    _with_header(path, header, more)
    with pytest.raises(InputError, match=r"x\.safetensors: ") as given:
        read_header(path)
    assert message in str(given.value)
    with pytest.raises(InputError, match=r"x\.safetensors: not a whole safetensors file \(.+\); fetch it again"):
        read_tensors(path)


def test_a_header_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(InputError, match=r"a header of 4,611,686,018,427,387,904 bytes"):
        read_header(path)
    with path.open("r+b") as file:
        file.truncate(90_000_000)  # sparse
        file.seek(0)
        file.write((80_000_000).to_bytes(8, "little"))
    with pytest.raises(InputError, match=r"x\.safetensors"):
        read_header(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_header(tmp_path / "nothing")


def test_a_file_cut_anywhere_is_told_by_its_header(path: Path) -> None:
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"x\.safetensors: "):
            read_header(path)


def test_a_damaged_header_is_read_or_told(path: Path) -> None:
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(500):
        data = bytearray(whole)
        data[rng.randrange(len(whole) - 25)] = rng.randrange(256)
        path.write_bytes(data)
        for read in (read_header, read_tensors, read_metadata):
            try:
                read(path)
            except InputError as error:
                assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", bytes(100), (10**9).to_bytes(8, "little")])
def test_weights_that_are_none_are_told_before_anything_is_loaded(tmp_path: Path, pico: Path, content: bytes) -> None:
    """A pickle under the name of a safetensors file, among others."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((pico / name).read_bytes())
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        folder_files(folder)
    with pytest.raises(InputError, match="no model that transformers can load"):
        load_base(folder, torch.float32)


@pytest.mark.parametrize(
    "change",
    [
        {"num_attention_heads": 0},
        {"hidden_size": "x"},
        {"num_hidden_layers": None},
        {"model_type": "nothing"},
        {"hidden_size": -1},
        {"rope_scaling": 3},
        {"hidden_act": "boom"},
    ],
    ids=str,
)
def test_a_configuration_that_is_none_is_told(tmp_path: Path, pico: Path, change: dict[str, object]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    config = json.loads((pico / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    (folder / "model.safetensors").write_bytes((pico / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match=f"^{folder}: no model that transformers can load"):
        load_base(folder, torch.float32)


@pytest.mark.parametrize(
    ("name", "tensors", "message"),
    [
        (WEIGHTS_FILE, {"model.layers.9.mlp.up_proj.weight": torch.zeros(2, 2)}, "holds 'model.layers.9.mlp.up_proj.weight', which the base lacks"),
        (WEIGHTS_FILE, {"model.norm.weight": torch.zeros(5)}, r"'model.norm.weight' has the shape \[5\], and the base takes \[32\]"),
        (ROWS_FILE, {"other": torch.zeros(2, 2)}, "no rows that jp-adapt saved"),
    ],
)
def test_an_adapter_of_another_model_is_told(tmp_path: Path, pico: Path, name: str, tensors: dict[str, torch.Tensor], message: str) -> None:
    save_file(tensors, tmp_path / name)
    with pytest.raises(InputError, match=message):
        load_causal(pico, torch.float32, tmp_path)
    (tmp_path / name).write_bytes(os.urandom(40))
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_causal(pico, torch.float32, tmp_path)


def test_an_adapter_without_its_lora_is_told(tmp_path: Path, pico: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "peft_type": "LORA"}))
    save_file({"x": torch.zeros(1)}, tmp_path / ADAPTER_FILE)
    with pytest.raises(InputError, match=r"adapter_model\.safetensors: lacks 'base_model\.model\..*', which its adapter_config\.json tells of"):
        load_causal(pico, torch.float32, tmp_path)


def test_the_header_is_read_without_torch() -> None:
    code = "import sys, jp_adapt.model.weight_files, jp_adapt.model.sources; sys.exit(bool({'torch', 'safetensors', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
