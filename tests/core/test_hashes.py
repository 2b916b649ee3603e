"""Hashes depend on content alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.core.hashes import git_blob, sha256_file, sha256_json
from tests.properties import examples

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_file_hash_is_that_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    path = tmp_path / "data"
    path.write_bytes(data)
    assert sha256_file(path) == hashlib.sha256(data).hexdigest()


def test_a_missing_file_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing: cannot be read \(No such file or directory\)"):
        sha256_file(tmp_path / "nothing")


def test_known_json_hash() -> None:
    assert sha256_json({"b": [1, "日"], "a": None}) == hashlib.sha256('{"a":null,"b":[1,"日"]}'.encode()).hexdigest()


@examples(100)
@given(st.dictionaries(st.text(), json_values, min_size=2, max_size=5))
def test_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert sha256_json(dict(reversed(value.items()))) == sha256_json(value)


@pytest.mark.parametrize(("one", "other"), [(1, "1"), (1, 1.0), ([1, 2], [2, 1]), ({"a": None}, {}), (True, 1), ("が", "か\u3099")])
def test_different_values_have_different_hashes(one: object, other: object) -> None:
    assert sha256_json(one) != sha256_json(other)


def test_nan_has_no_hash() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        sha256_json([float("nan")])


def test_gits_name_of_a_file(tmp_path: Path) -> None:
    """As `git hash-object` says."""
    (tmp_path / "a").write_bytes(b"hello\n")
    assert git_blob(tmp_path / "a") == "ce013625030ba8dba906f756967f9e9ca394464a"
    with pytest.raises(InputError, match="cannot be read"):
        git_blob(tmp_path / "b")
