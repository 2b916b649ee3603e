"""Packed files come out whole, in bounded memory, and what is sound comes out before damage is told."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.unpack import DamageError, UnpackedFile
from jp_adapt.corpus.sources import iter_placed
from tests.properties import examples

PACK = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": zstandard.ZstdCompressor().compress}
SUFFIX = {"gzip": ".gz", "xz": ".xz", "zstd": ".zst"}
ROOT = Path(__file__).resolve().parents[2]


def unpack(data: bytes, packing: str) -> tuple[bytes, bool, str]:
    """What came out, whether garbage followed, and the error that ended it."""
    file = UnpackedFile(io.BytesIO(data), packing)
    out = b""
    try:
        while piece := file.read(1000):
            out += piece
    except DamageError as error:
        return out, file.garbage, str(error)
    return out, file.garbage, ""


@examples(200)
@given(st.sampled_from(list(PACK)), st.lists(st.binary(max_size=3000), max_size=4), st.binary(max_size=300))
def test_all_members_come_out_and_garbage_behind_them_is_seen(packing: str, members: list[bytes], behind: bytes) -> None:
    packed = b"".join(PACK[packing](member) for member in members)
    assert unpack(packed, packing) == (b"".join(members), False, "")
    behind = b"#" + behind
    out, garbage, error = unpack(packed + behind, packing)
    assert out == b"".join(members)
    assert (garbage, error) == ((True, "") if members else (False, error))
    assert bool(error) == (not members)


@pytest.mark.parametrize("packing", ["gzip", "xz"])
def test_zeros_between_and_behind_members_are_padding(packing: str) -> None:
    packed = PACK[packing](b"one") + bytes(4000) + PACK[packing](b"two") + bytes(8)
    assert unpack(packed, packing) == (b"onetwo", False, "")


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_a_file_cut_short_gives_all_that_could_be_unpacked(packing: str, share: float) -> None:
    text = b"".join(str(n * 2654435761 % 2**32).encode() for n in range(50_000))
    whole = PACK[packing](b"first") + PACK[packing](text)
    start = len(PACK[packing](b"first"))
    end = start + 20 + int(share * (len(whole) - start - 21))
    out, garbage, error = unpack(whole[:end], packing)
    assert (b"first" + text).startswith(out)
    assert len(out) >= 5 + share * len(text) - 2**21 / (1 if packing == "xz" else 8)
    assert (garbage, error) == (False, "Compressed file ended before its end marker")


DOCUMENTS = {".jsonl": ('{"text": "一"}\n{"text": "二"}\n{"text": "三"}', ["一", "二", "三"]), ".txt": ("一\n\n二\nに\n\n三", ["一", "二\nに", "三"])}


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("last", ["\n", ""], ids=["ended", "open"])
def test_documents_before_garbage_are_kept_and_the_garbage_is_counted_once(tmp_path: Path, packing: str, kind: str, last: str) -> None:
    content, texts = DOCUMENTS[kind]
    path = tmp_path / f"x{kind}{SUFFIX[packing]}"
    path.write_bytes(PACK[packing]((content + last).encode()) + b"garbage")
    errors: list[str] = []
    assert [text for _, text in iter_placed(path, on_error=lambda error: errors.append(str(error)))] == texts
    lines = content.count("\n") + 1
    assert errors == [f"{path}:{lines + 1}: the {packing} file is damaged or cut short here (other data follow the last packed part); fetch it again"]


@pytest.mark.parametrize("packing", PACK)
def test_documents_of_sound_members_before_a_broken_one_are_kept(tmp_path: Path, packing: str) -> None:
    sound, broken = PACK[packing]('{"text": "一"}\n'.encode() * 9), bytearray(PACK[packing](bytes(range(256)) * 40))
    broken[len(broken) // 2] ^= 0xFF
    broken[-9] ^= 0xFF
    path = tmp_path / f"x.jsonl{SUFFIX[packing]}"
    path.write_bytes(sound + broken)
    errors: list[str] = []
    texts = [text for _, text in iter_placed(path, on_error=lambda error: errors.append(str(error)))]
    assert texts == ["一"] * 9
    assert errors


BOMB = """
import gzip, json, lzma, resource, sys
import zstandard
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
from jp_adapt.corpus.sources import iter_placed
path, skip = Path(sys.argv[1]), sys.argv[2] == "skip"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
errors = []
def on_error(error):
    errors.append(str(error).replace(str(path), "x"))
    if not skip:
        raise error
texts = []
try:
    for place, text in iter_placed(path, on_error=on_error):
        if len(text) < 1000:
            texts.append(text)
except Exception as error:
    assert not skip, error
print(json.dumps({"texts": texts, "errors": errors, "grown": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before}))
"""


def zstd_bomb(size: int, window_log: int, line_blocks: int = 0) -> bytes:
    """A frame written by hand: blocks of 128 KiB of one letter, each of 4 bytes, with an empty line behind every so many."""
    head = b"\x28\xb5\x2f\xfd\x00" + bytes([(window_log - 10) << 3])
    letters, line, end = (2**17 << 3 | 2).to_bytes(3, "little") + b"a", (2 << 3).to_bytes(3, "little") + b"\n\n", (1).to_bytes(3, "little")
    paragraph = letters * line_blocks + line if line_blocks else letters
    return head + paragraph * ((size >> 17) // (line_blocks or 1)) + end


BOMBS = {
    "zstd": (".zst", lambda: zstd_bomb(1500 * 2**20, 21)),
    "zstd with a window of 2 GiB": (".zst", lambda: zstd_bomb(1500 * 2**20, 31)),
    "zstd with a window of 2 GiB and short lines": (".zst", lambda: zstd_bomb(1500 * 2**20, 31, 4)),
    "gzip": (".gz", lambda: gzip.compress(b"a" * 2**22) * 80),
    "xz": (".xz", lambda: lzma.compress(b"a" * 2**22, preset=0) * 80),
}


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, ".jsonl") for name in BOMBS if "short" not in name), *((name, ".txt") for name in BOMBS), ("zstd", ".csv")]
)
@pytest.mark.parametrize("mode", ["refuse", "skip"])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_without_the_memory(tmp_path: Path, name: str, kind: str, mode: str) -> None:
    suffix, make = BOMBS[name]
    path = tmp_path / f"x{kind}{suffix}"
    sound = {".jsonl": '{"text": "一"}\n', ".txt": "一\n\n", ".csv": "text\n一\n"}[kind].encode()
    packing = next(packing for packing, end in SUFFIX.items() if end == suffix)
    path.write_bytes(PACK[packing](sound) + make())
    assert path.stat().st_size < 400_000
    ended = subprocess.run([sys.executable, "-c", BOMB, str(path), mode], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["texts"] == ["一"]
    assert "has more than 67,108,864 bytes" in result["errors"][0] or "times its size" in result["errors"][0]
    assert mode == "refuse" or "times its size" in result["errors"][-1], "what would continue for hours is not read on"
    assert result["grown"] < 400_000, "KiB"
