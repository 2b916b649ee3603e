"""Pictures of shapes, and questions about them in Japanese: `python -m tests.drawn_shapes` writes `eval/quickstart/ja-vqa-40`, always the same.

A picture has one to four shapes of one kind and one colour, on white. Pixels are computed and the PNG is written by hand: nothing needs a picture library.
"""

from __future__ import annotations

import json
import math
import random
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

NAME, SEED, SIZE, PICTURES = "ja-vqa-40", 40, 64, 40
QUICKSTART = Path(__file__).resolve().parents[1] / "eval" / "quickstart"
COLOURS = {"赤": (220, 50, 40), "青": (40, 90, 220), "緑": (40, 160, 70), "黄色": (245, 200, 40)}
SHAPES = ("丸", "三角", "四角", "星")
NUMBERS = ("1", "2", "3", "4")
QUESTIONS = {
    "色": ("この絵の図形は何色ですか。", tuple(COLOURS)),
    "形": ("この絵に描かれている図形の形は何ですか。", SHAPES),
    "数": ("この絵には図形がいくつありますか。", NUMBERS),
}


def inside(shape: str, x: float, y: float) -> bool:
    """Whether a point is in a shape of radius 1 around the origin; y grows downwards."""
    if shape == "丸":
        return x * x + y * y <= 0.85
    if shape == "四角":
        return max(abs(x), abs(y)) <= 0.8
    if shape == "三角":
        return -0.9 <= y <= 0.8 and abs(x) <= (y + 0.9) / 1.7
    turn = (math.atan2(x, -y) / (2 * math.pi) * 5) % 1  # of the way from one point of the star to the next
    return math.hypot(x, y) <= 0.95 - 1.1 * min(turn, 1 - turn)


def pixels(shape: str, count: int, seed: int) -> list[bytes]:
    """Rows of palette indices of a picture: 0 is white, 1 the colour."""
    generator = random.Random(seed)
    corners = generator.sample([(1, 1), (3, 1), (1, 3), (3, 3)], count)
    places = [(SIZE / 4 * (column + generator.uniform(-0.2, 0.2)), SIZE / 4 * (row + generator.uniform(-0.2, 0.2))) for column, row in corners]
    radius = SIZE / 4 * 0.75
    return [
        bytes(any(inside(shape, (x + 0.5 - column) / radius, (y + 0.5 - row) / radius) for column, row in places) for x in range(SIZE)) for y in range(SIZE)
    ]


def png(rows: list[bytes], colour: tuple[int, int, int]) -> bytes:
    """A PNG of two colours, white and another one (ISO/IEC 15948)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", bytes([255, 255, 255, *colour])) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@cache
def drawn(seed: int = SEED, count: int = PICTURES) -> list[tuple[str, str, int]]:
    """Shape, colour and number of each of `count` pictures: of each of the three, every value as often as the others."""
    generator = random.Random(seed)
    shapes, colours, counts = (list(values) * (count // 4) for values in (SHAPES, COLOURS, range(1, 5)))
    for values in (shapes, colours, counts):
        generator.shuffle(values)
    return list(zip(shapes, colours, counts, strict=True))


def picture(number: int, seed: int = SEED, count: int = PICTURES) -> bytes:
    """The PNG of a picture of `drawn`, counted from 1."""
    shape, colour, times = drawn(seed, count)[number - 1]
    return png(pixels(shape, times, seed + number), COLOURS[colour])


def lines(name: str = NAME, seed: int = SEED, count: int = PICTURES) -> list[dict[str, Any]]:
    """The questions."""
    return [
        {"id": f"{number:02}-{kind}", "image": f"{name}/{number:02}.png", "kind": kind, "question": question, "choices": choices, "answer": answers[kind]}
        for number, (shape, colour, times) in enumerate(drawn(seed, count), start=1)
        for answers in [{"色": colour, "形": shape, "数": str(times)}]
        for kind, (question, choices) in QUESTIONS.items()
    ]


def as_jsonl(name: str = NAME, seed: int = SEED, count: int = PICTURES) -> bytes:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(name, seed, count)).encode()


def write(folder: Path, name: str = NAME, seed: int = SEED, count: int = PICTURES) -> None:
    """The pictures and the questions about them, as the declaration of `NAME` has them."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_bytes(as_jsonl(name, seed, count))
    for number in range(1, count + 1):
        (folder / name / f"{number:02}.png").write_bytes(picture(number, seed, count))


def write_benchmark(folder: Path, name: str, seed: int, count: int) -> Path:
    """`count` other pictures as a benchmark of their own, asked as `NAME` is; returns its declaration. Pictures differ where seeds are further apart."""
    write(folder, name, seed, count)
    text = (QUICKSTART / f"{NAME}.yaml").read_text(encoding="utf-8").partition("format:")
    declaration = (text[1] + text[2]).replace(NAME, name).replace("Forty drawn pictures, 120 questions", f"{count} drawn pictures, {3 * count} questions")
    path = folder / f"{name}.yaml"
    path.write_text(declaration, encoding="utf-8")
    return path


if __name__ == "__main__":
    write(QUICKSTART)
