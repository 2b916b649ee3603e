"""Files of texts that the tests of readers write."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

LINE = '{"text": "日本"}\n'.encode()


def jsonl(texts: list[str], *, ascii_only: bool = False) -> bytes:
    return "".join(json.dumps({"text": text}, ensure_ascii=ascii_only) + "\n" for text in texts).encode("utf-8")


def write(path: Path, data: bytes) -> Path:
    """`data` as a file, packed as its name says."""
    pack = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}.get(path.suffix.lower(), bytes)
    path.write_bytes(pack(data))
    return path


def parquet(path: Path, texts: list[str | None], kind: pa.DataType | None = None, **more: object) -> Path:
    pq.write_table(pa.table({"text": pa.array(texts, kind or pa.string())}), path, **more)
    return path


def hash_text(number: int) -> str:
    """Text that does not compress away."""
    return str(number * 2654435761 % 2**32 * 40503)
