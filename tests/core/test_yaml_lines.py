"""YAML as recipes use it: places, repeated keys, numbers, and broken files."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.yaml_lines import load_yaml, parse_scalar, parse_yaml


def test_every_value_knows_its_line() -> None:
    document = parse_yaml("a: 1\nb:\n  - x: 2\n\n  - {y: 3}\n", "f.yaml")
    assert document.value == {"a": 1, "b": [{"x": 2}, {"y": 3}]}
    assert document.places[("a",)] == ("f.yaml", 1)
    assert document.places[("b", 0, "x")] == ("f.yaml", 3)
    assert document.places[("b", 1, "y")] == ("f.yaml", 5)


def test_place_of_what_is_not_there_is_the_nearest_around_it() -> None:
    document = parse_yaml("a: 1\nb:\n  c: {d: 1}\n", "f")
    assert document.place(("b", "c", "missing", "deeper")) == ("f", 3)
    assert document.place(("missing",)) == ("f", 1)
    assert parse_yaml("", "f").place(("a",)) is None


def test_repeated_keys_are_all_named_with_both_lines() -> None:
    with pytest.raises(UsageError) as caught:
        parse_yaml("a: 1\nb: {x: 1, x: 2}\na: 3\n", "f.yaml")
    assert str(caught.value).splitlines() == [
        "f.yaml:2: key 'x' stands here and in line 2; keep one of them",
        "f.yaml:3: key 'a' stands here and in line 1; keep one of them",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-3", 0.001), ("2E5", 200000.0), ("-1e+2", -100.0), ("1_0e1", 100.0), ("1.5e-4", 0.00015), ("5.0e-3", 0.005)],
        *[("1000", 1000), ("1e", "1e"), ("e5", "e5"), ("1e5x", "1e5x"), ("0.1.2", "0.1.2"), ("'1e-3'", "1e-3"), ("日本", "日本"), ("null", None)],
    ],
)
def test_numbers_are_numbers(text: str, value: object) -> None:
    found = parse_yaml(f"a: {text}", "f").value["a"]
    assert found == value
    assert type(found) is type(value)
    assert parse_scalar(text, "-s") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c\n", "f:3: not valid YAML (expected ',' or '}', but got '<stream end>')"),
        ("a: 1\n\tb: 2\n", "f:2: not valid YAML (found character '\\t' that cannot start any token)"),
        ("a: 1\nb: 'open\n", "f:3: not valid YAML (found unexpected end of stream)"),
        ("a: 1\n---\nb: 2\n", "f:2: not valid YAML (but found another document)"),
        ("? [a]\n: b\n", "f:1: not valid YAML (found unhashable key)"),
        ("a: 1\nb: x\x07y\n", "f:2: not valid YAML (character U+0007 is not allowed)"),
        ("a: 1\nd: 2024-13-45\n", "f:2: not valid YAML (month must be in 1..12; put quotes around a text that looks like a date or a number)"),
        ("a: !!python/object/apply:os.system [ls]\n", "f:1: not valid YAML (could not determine a constructor for the tag"),
        ("a: &x [*x]\n", "f:1: not valid YAML (an anchor holds itself, or the nesting is too deep)"),
    ],
)
def test_broken_yaml_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_yaml(text, "f")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["[1", "{a: 1", "'x", "2024-13-01", "a: b: c", "\x07"])
def test_a_broken_override_is_a_usage_error_that_names_it(text: str) -> None:
    with pytest.raises(UsageError, match=r"^-s seed: not valid YAML"):
        parse_scalar(text, "-s seed")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load_yaml(path).value == {"a": 1}


def test_a_file_in_shift_jis_is_an_input_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes("a: 1\ntitle: 日本\n".encode("cp932"))
    with pytest.raises(InputError, match=r"x\.yaml:2: byte 0x93 is not UTF-8"):
        load_yaml(path)
