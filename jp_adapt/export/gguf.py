"""Write a model folder as GGUF, proven to hold the same model before the file appears."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jp_adapt.core.errors import JpAdaptError, UsageError
from jp_adapt.core.files import new_files
from jp_adapt.core.given import several
from jp_adapt.export.gguf_check import check_file
from jp_adapt.export.gguf_source import GgufSource, read_source
from jp_adapt.export.gguf_types import FileType, check_types, file_types
from jp_adapt.export.gguf_write import file_bytes, write_files
from jp_adapt.export.llama_cpp import LlamaCpp


@dataclass(frozen=True)
class GgufExport:
    """A file that was written: its type, what was proven of it, and what it does otherwise than the folder."""

    path: Path
    type: str
    bytes: int
    proven: list[str]
    notes: list[str]


def export_gguf(model: str | Path, out: str | Path, types: str | Sequence[str] = ("auto",), *, name: str | None = None) -> list[GgufExport]:
    """Write the model folder `model` as GGUF files.

    Args:
        out: the file; of several types each file's name has its type before the ending: model.gguf becomes model-Q8_0.gguf.
        types: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q5_1, Q5_0, Q4_1, Q4_0, or auto (BF16 for bfloat16 weights, else F16).
        name: of the model in the file's header; by default that of the folder.

    Raises:
        UsageError: no type, an unknown one, one that cannot be made here, or a file that exists.
        InputError: the folder is not whole, not of one model, or of a kind that llama.cpp does not run as a Llama.
        GateError: a file does not hold, or llama.cpp does not compute, what the folder does. No file was kept.
    """
    wanted = several(types)
    if not wanted:
        raise UsageError("types names none; give one, such as auto or Q8_0")
    check_types(wanted)
    return write_gguf(read_source(Path(model), name), Path(out), wanted)


def write_gguf(source: GgufSource, out: Path, types: Sequence[str]) -> list[GgufExport]:
    """`export_gguf` of a folder that has been read."""
    wanted = file_types(types, source.stored_type(source.tensors[0]))
    paths = [out if len(wanted) == 1 else out.with_name(f"{out.stem}-{kind.name}{out.suffix}") for kind in wanted]
    _check_space(source, wanted, out)
    with new_files(paths) as temporary:
        write_files(source, dict(zip(wanted, temporary, strict=True)))
        proofs, llama_cpp = [], LlamaCpp(source)
        for kind, path in zip(wanted, temporary, strict=True):
            check_file(source, path)
            proofs.append(llama_cpp.check(path, kind.name))
    return [
        GgufExport(
            path,
            kind.name,
            path.stat().st_size,
            ["fields, tokens and weights, read back", *proof.lines],
            source.notes + ([] if proof.note is None else [proof.note]),
        )
        for path, kind, proof in zip(paths, wanted, proofs, strict=True)
    ]


def _check_space(source: GgufSource, wanted: Sequence[FileType], out: Path) -> None:
    folder = next(parent for parent in out.absolute().parents if parent.is_dir())
    needed, free = sum(file_bytes(source, kind) for kind in wanted), shutil.disk_usage(folder).free
    if needed > free:
        raise JpAdaptError(f"{out}: needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {folder}; free some space, or choose another --out")
