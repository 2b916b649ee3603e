"""Values and texts that users, hostile or hurried, put where others stand; all harmless to whoever has bounds."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

LONG = "n" * 5_000

YAML_VALUES = [
    *("", "~", "null", "true", "no", "0", "-1", "1.5", "''", "[]", "{}", "[[]]", "{a: 1}", "x", "日本", "99999999999999999999", "-99999999999999999999"),
    *("1.0e+300", "1e-300", ".inf", ".nan", "9" * 90, "9" * 200, "1:59:59", "0x10", "2024-01-01", "2024-13-45", f"'{LONG}'", '"\\ud800"', '"\\0"', '"a\\nb"'),
    *('"\\UFFFFFFFF"', "*nothing", "&a [*a]", "!!binary AAAA", "!!python/name:os.system x", "!!set {x}", "~nosuchuser/x", "../x", "..", ".", "/", "/dev/null"),
    *("'a**b'", "'[x'", "'*'", "'{{ 1/0 }}'", "'{{ x'", "[" * 60, "{a: " * 60, "- " * 60, "'%s'", "'\u202eabc'", "'\x7f'", ".x", "__main__", "a/b", "'a b'"),
]

JSON_RAW = [
    *("null", "true", "0", "-1", "1.5", '""', "[]", "{}", "[[]]", '{"a": 1}', '"x"', "99999999999999999999", "1e300", "1e400", "NaN", "-Infinity", "9" * 400),
    *("9" * 5_000, "[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300, '"\\ud800"', '"\\u0000"', f'"{LONG}"', '["a", 1, null]', "[1e308, 1e308]", '"NaN"'),
]

NAMES = [
    *(
        "",
        ".",
        "..",
        "/",
        "-",
        "--",
        "~",
        "~nosuchuser",
        "~nosuchuser/x",
        "a**b",
        "[x",
        "*",
        "?",
        "a b",
        "a\nb",
        "日本",
        "\udcff",
        LONG,
        "a/" * 3_000,
        "x" * 256,
    ),
    *(
        "/dev/null",
        "/proc/self/mem",
        "/etc",
        "nul\x1b[2J",
        "'",
        '"',
        "a:b",
        "a@b",
        "hub:x",
        "x.yaml",
        "./x.yaml",
        "http://[::1",
        "²",
        "%s",
        "{}",
        "$(true)",
        "\u202e",
    ),
]

NUMBERS = [
    "0",
    "-1",
    "1.5",
    "",
    "x",
    "²",
    "٣",
    "inf",
    "nan",
    "1e308",
    "1e400",
    "9" * 20,
    "9" * 400,
    "9" * 5_000,
    "0x10",
    "1_000",
    " 1",
    "+1",
    "2147483648",
    "-0",
    "1e-400",
]


def change_text(rng: random.Random, text: str, pieces: list[str]) -> str:
    """One to three random edits: a span is cut, doubled, moved, or an odd piece put in."""
    for _ in range(rng.randint(1, 3)):
        first = rng.randrange(len(text) + 1)
        last = min(len(text), first + rng.randint(0, 30))
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:first] + text[last:]
        elif kind == 1:
            text = text[:last] + text[first:]
        elif kind == 2:
            text = text[:first] + rng.choice(pieces) + text[last:]
        elif kind == 3:
            text = text[:first] + rng.choice("\t\n:-[]{}&*!|>'\"%@`#\\,?\0\x7f\ufeff日") + text[last:]
        else:
            text = text[:first]
    return text


def change_line_value(rng: random.Random, text: str) -> str:
    """The value of one `key: value` of a YAML text, replaced by an odd one."""
    lines = text.split("\n")
    places = [index for index, line in enumerate(lines) if ":" in line]
    index = rng.choice(places)
    head, _, _ = lines[index].partition(":")
    lines[index] = f"{head}: {rng.choice(YAML_VALUES)}"
    return "\n".join(lines)


def change_json(rng: random.Random, value: Any) -> str:
    """The text of a JSON value of which one part has become odd, is missing, or has odd company."""
    value = copy.deepcopy(value)
    mark = "@@odd@@"
    target, parent, key = value, None, None
    for _ in range(rng.randint(1, 7)):
        if isinstance(target, dict) and target:
            parent, key = target, rng.choice(sorted(target))
        elif isinstance(target, list) and target:
            parent, key = target, rng.randrange(len(target))
        else:
            break
        target = parent[key]
    if parent is None:
        return rng.choice(JSON_RAW)
    kind = rng.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[rng.choice(["", "x", "日本", LONG, "__class__"])] = mark
    elif kind == 2 and isinstance(parent, list):
        parent.extend([copy.deepcopy(target)] * rng.choice([1, 2, 500]))
    else:
        parent[key] = mark
    return json.dumps(value, ensure_ascii=False).replace(f'"{mark}"', rng.choice(JSON_RAW))


def change_bytes(rng: random.Random, data: bytes) -> bytes:
    """A file cut, with bytes changed, with a part of itself again, or with a large number where a small one stood."""
    kind = rng.randrange(5)
    at = rng.randrange(len(data) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes(rng.randrange(256) for _ in range(rng.randint(1, 8))) + data[at + rng.randint(0, 8) :]
    if kind == 2:
        return data + data[at:]
    if kind == 3:
        at = rng.randrange(min(len(data), 64) + 1)
        return data[:at] + rng.choice([b"\xff", b"\0", b"\x7f"]) * rng.choice([1, 4, 8]) + data[at + 8 :]
    return rng.choice([b"", b"\0" * 100, b"\x80\x02}q\0.", b"PK\x03\x04", b"\x1f\x8b\x08", b"<html>", data[: at // 2] + b"\0" * 50])
