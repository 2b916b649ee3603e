"""YAML as recipes use it: places, repeated keys, numbers, and broken files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core import yaml_lines
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.shipped import shipped_benchmarks, shipped_corpora, shipped_recipes, shipped_suites
from jp_adapt.core.yaml_lines import load_yaml, parse_scalar, parse_yaml
from tests.properties import examples


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
    results = parse_yaml(f"a: {text}", "f").value["a"]
    assert results == value
    assert type(results) is type(value)
    assert parse_scalar(text, "-s") == value


def bombs() -> list[str]:
    """Small texts whose aliases of aliases stand for billions of values: lists, mappings, and merged mappings."""
    lists = ["a0: &a0 [1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))]
    mappings = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{{', '.join(f'k{m}: *a{n - 1}' for m in range(9))}}}" for n in range(1, 9))]
    merged = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 9))]
    return ["\n".join(lines) for lines in (lists, mappings, merged)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c\n", "f:3: not valid YAML (expected ',' or '}', but got '<stream end>')"),
        ("a: 1\n\tb: 2\n", "f:2: not valid YAML (found character '\\t' that cannot start any token)"),
        ("a: 1\nb: 'open\n", "f:3: not valid YAML (found unexpected end of stream)"),
        ("a: 1\n---\nb: 2\n", "f:2: not valid YAML (but found another document)"),
        ("? [a]\n: b\n", "f:1: not valid YAML (found unhashable key)"),
        ("a: 1\nb: x\x07y\n", "f:2: not valid YAML (character U+0007 is not allowed)"),
        ("a: 1\nd: 2024-13-45\n", "f:2: '2024-13-45' is read as a date; put quotes around a text that looks like one"),
        ("a: 1\nno: 2\n", "f:2: the key 'no' is read as a truth value; put quotes around a text that looks like one"),
        ("1: 2\n", "f:1: the key '1' is read as a number; put quotes"),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "f:1: not valid YAML ('tag:yaml.org,2002:python/object/apply:os.system' is not a kind of value that is read here)",
        ),
        ("a: !!binary AAAA\n", "f:1: not valid YAML ('tag:yaml.org,2002:binary'"),
        ("a: !!set {x, y}\n", "f:1: not valid YAML ('tag:yaml.org,2002:set'"),
        ("a: &x [*x]\n", "f:1: not valid YAML (the anchor 'x' holds itself)"),
        ("a: &x {b:\n  {c: *x}}\n", "f:2: not valid YAML (the anchor 'x' holds itself)"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', "f:2: not valid YAML (an escape for a character that Unicode does not have)"),
        ('a: 1\nb: "\\U00110000"\n', "f:2: not valid YAML (an escape for a character that Unicode does not have)"),
        ('a: 1\nb: "\\ud800"\n', "f:2: holds the character U+D800, which stands in no text"),
        ('a: 1\n"\\0": 1\n', "f:2: holds the character U+0000, which stands in no text"),
        ("a: " + "9" * 101, "f:1: a number of 101 characters; at most 100 are read"),
        ("a: " + "1:" * 5_000 + "1", "f:1: a number of 10,001 characters; at most 100 are read"),
        ("a: 1." + "9" * 5_000, "f:1: a number of 5,002 characters; at most 100 are read"),
        ("[" * 5_000, "f:1: not valid YAML (nested deeper than 40 levels)"),
        ("- " * 5_000, "f:1: not valid YAML (nested deeper than 40 levels)"),
        ("{a: " * 5_000, "f:1: not valid YAML (nested deeper than 40 levels)"),
        ("[" + "1," * 30_000 + "]", "f:1: not valid YAML (more than 20,000 values)"),
        *[(text, "f:8: more than 20,000 values, with every alias written out") for text in bombs()],
    ],
)
def test_broken_yaml_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_yaml(text, "f")
    assert re.sub(r"^f:[0-9]+(?=: more than)", "f:8", str(caught.value)).startswith(message)


def test_an_alias_is_a_value_of_its_own() -> None:
    value = parse_yaml("a: &x {n: [1]}\nb: *x\nc:\n  <<: *x\n  m: 2\n", "f").value
    assert value == {"a": {"n": [1]}, "b": {"n": [1]}, "c": {"n": [1], "m": 2}}
    value["a"]["n"].append(2)
    assert value["b"] == {"n": [1]}
    assert value["c"] == {"n": [1], "m": 2}


def test_a_file_of_any_size_ends(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("#" * 300_000, encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.yaml: has more than 262,144 bytes"):
        load_yaml(tmp_path / "x.yaml")


@examples(300)
@given(st.text(st.sampled_from("a1:-?[]{},&*!|>'\"%@\\ \n#<~=.U0x\t"), max_size=40))
def test_any_text_is_a_document_or_one_error(text: str) -> None:
    try:
        json.dumps(parse_yaml(text, "f").value)
    except UsageError as error:
        assert str(error).startswith("f:")  # noqa: PT017


@pytest.mark.parametrize("text", ["[1", "{a: 1", "'x", "a: b: c", "\x07"])
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


def read_both_ways(text: str) -> list[object]:
    """What libyaml and PyYAML's own parser make of a text: a document, or an error."""
    results: list[object] = []
    for fast in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not fast:
                patch.setattr(yaml_lines, "_FastLoader", None)
            try:
                results.append(parse_yaml(text, "f"))
            except UsageError as error:
                results.append(str(error))
    return results


def test_what_is_shipped_is_the_same_in_both_parsers() -> None:
    for path in [*shipped_recipes().values(), *shipped_benchmarks().values(), *shipped_suites().values(), *shipped_corpora().values()]:
        fast, own = read_both_ways(path.read_text(encoding="utf-8"))
        assert fast == own, path


FLOW = [
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "? ",
    "a",
    "b: 1",
    "- ",
    "\n",
    "\n  ",
    "# c",
    "|",
    ">",
    "!",
    "'",
    '"',
    "\t",
    "\ufeff",
    "---",
    "&x ",
    "*x",
    "1e-3",
    "日本",
    "\u2028",
]


@examples(200)
@given(st.lists(st.sampled_from(FLOW), max_size=9).map("".join))
def test_any_text_is_the_same_in_both_parsers(text: str) -> None:
    fast, own = read_both_ways(text)
    assert fast == own


@pytest.mark.parametrize("text", ["a:\t1\n", "- !\n", "---", "\ufeff\ufeff>", "a: |#\n  b\n", "a: [b?, c?d]\n", "a: [b:, c]\n", "a: [1\nb: 2\n", "a: '\\x'\n"])
def test_what_libyaml_reads_otherwise_is_read_as_before(text: str) -> None:
    fast, own = read_both_ways(text)
    assert fast == own
