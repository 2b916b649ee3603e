"""Whatever another program wrote as JSON comes back as its value, or as one InputError that names the place."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, read_json_lines
from jp_adapt.core.foreign_json import MAX_DEPTH, MAX_DIGITS, parse_json
from tests.properties import examples

TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)


@examples(300)
@given(VALUES, st.booleans())
def test_every_value_comes_back(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text, "x") == value
    assert parse_json(text.encode(), "x", unique_keys=True, lone_surrogates="replace") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x: not valid JSON (Expecting value)"),
        ("{} {}", "x: not valid JSON (Extra data)"),
        (b'"\xff"', "x: not valid JSON (byte 0xFF is not UTF-8)"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"x: JSON nested deeper than {MAX_DEPTH} levels"),
        ('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), f"x: JSON nested deeper than {MAX_DEPTH} levels"),
        ("[" * 1_000_000, f"x: JSON nested deeper than {MAX_DEPTH} levels"),
        ("[" + "9" * (MAX_DIGITS + 1) + "]", f"x: a number of {MAX_DIGITS + 1} digits; at most {MAX_DIGITS} are read"),
        ("9" * 5_000, "x: a number of 5,000 digits"),
        ("-1e400", "x: the number -1e400 is too large"),
        ("[NaN]", "x: NaN is not a number of JSON"),
        ("-Infinity", "x: -Infinity is not a number of JSON"),
        ('"\\ud83d"', "x: holds a lone surrogate (\\ud83d), which is not a text"),
        ('{"\\uDC00\\ud83d": 1}', "x: holds a lone surrogate (\\uDC00)"),
        (" " * 101, "x: has more than 100 bytes"),
    ],
)
def test_what_breaks_json_loads_or_breaks_later_is_one_error(text: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as stated:
        parse_json(text, "x", max_bytes=100 if message.endswith("100 bytes") else 2**24)
    assert str(stated.value).startswith(message)


def test_what_is_within_the_bounds_is_read() -> None:
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "x") is not None
    assert parse_json(json.dumps(["[{"] * 1_000), "x") == ["[{"] * 1_000, "brackets in texts are no nesting"
    assert float(parse_json("9" * MAX_DIGITS, "x")) == 1e300
    assert parse_json("\ufeff[1]", "x") == [1], "a byte order mark, as Windows writes it"


def test_a_configuration_of_the_hub_may_hold_what_is_no_json() -> None:
    value = parse_json("[NaN, Infinity, -Infinity, 1e400]", "x", allow_nan=True)
    assert math.isnan(value[0])
    assert value[1:] == [math.inf, -math.inf, math.inf]


def test_a_key_that_stands_twice() -> None:
    assert parse_json('{"grade": 1, "grade": 2}', "x") == {"grade": 2}
    with pytest.raises(InputError, match="x: the key 'grade' stands twice"):
        parse_json('[{"a": 1, "grade": 1, "grade": 2}]', "x", unique_keys=True)
    many = "{" + ", ".join(f'"{key}": 0' for key in [*range(200_000), 5]) + "}"
    with pytest.raises(InputError, match="the key '5' stands twice"):
        parse_json(many, "x", unique_keys=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\ud83d"', "a\ufffd"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\uD83D\uDE00\uDE00"', "\U0001f600\ufffd"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
        (r'"\ud7ff"', "\ud7ff"),
    ],
)
def test_half_a_surrogate_pair_is_replaced_where_that_is_asked_for(text: str, value: str) -> None:
    assert parse_json(text, "x", lone_surrogates="replace") == value


def test_a_file_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{\n "a": 1,\n}')
    with pytest.raises(InputError, match=r"x\.json:[23]: not valid JSON"):
        read_json(path)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"x\.json: JSON nested deeper"):
        read_json(path)
    with pytest.raises(InputError, match=r"x\.json: has more than 1,000 bytes"):
        read_json(path, max_bytes=1_000)
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)


def test_an_endless_file_ends() -> None:
    with pytest.raises(InputError, match=r"/dev/zero: has more than"):
        read_json(Path("/dev/zero"), max_bytes=2**21)
    with pytest.raises(InputError, match=r"/dev/zero:1: has more than"):
        list(read_json_lines(Path("/dev/zero"), max_bytes=2**21))


def test_lines_come_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": "\u2028"}\n\n \n[2]', encoding="utf-8")
    assert list(read_json_lines(path)) == [(f"{path}:1", {"a": "\u2028"}), (f"{path}:4", [2])]
    path.write_bytes(b'{}\n{"a": 1\n{}\n')
    lines = read_json_lines(path)
    assert next(lines)[1] == {}
    with pytest.raises(InputError, match=r"x\.jsonl:2: not valid JSON"):
        next(lines)
    with pytest.raises(InputError, match="no such file"):
        next(read_json_lines(tmp_path / "other"))


def test_damaged_json_is_a_value_or_an_input_error(tmp_path: Path) -> None:
    source = json.dumps({"model": {"vocab": {"日本": 1, "\U0001f600": 2}, "merges": [["a", "b"]] * 3}, "x": -1.5e3}).encode()
    rng = random.Random(0)
    messages = []
    for _ in range(3_000):
        data = bytearray(source)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.choice([b"", b"[" * 2_000, b"9" * 400, b"\\ud800", b"\0", b"\xff", b"{", b'"', b"1e999", b"NaN"])
        try:
            parse_json(bytes(data), "x")
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 1_000
    assert all(message.startswith("x: ") for message in messages)
