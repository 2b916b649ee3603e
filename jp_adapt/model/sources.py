"""Where the base model comes from. Nothing here imports torch.

Weights load from safetensors or GGUF only, never from pickle, and no code of a model repository is ever run.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.model.vision import IMAGE_FILES
from jp_adapt.model.weight_files import read_header

PACKAGE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")  # PEP 508
MODEL_FILES = ("*.safetensors", "*.json", "*.model", "*.jinja")
TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "chat_template.jinja", "original/*.model")


def package_file(package: str, file: str, version: str | None) -> Path:
    """Path of `file` inside an installed package, as the record of its installation lists it; nothing is imported.

    Args:
        package: the name that pip installs it by.
        file: relative to the package's own folder.

    Raises:
        InputError: no such package, version or file.
    """
    if not PACKAGE_NAME.fullmatch(package):
        raise InputError(f"base: '{package[:80]}' is not the name of a package; give the name that pip installs")
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        pinned = f"=={version}" if version else ""
        raise InputError(f"base: package '{package}' is not installed; run: pip install --no-deps {package}{pinned}") from None
    if version is not None and distribution.version != version:
        way_out = f"run: pip install --no-deps {package}=={version}"
        raise InputError(f"base: package '{package}' is at version {distribution.version}, and the recipe pins {version}; {way_out}")
    files = {PurePosixPath(*entry.parts[1:]).as_posix(): entry for entry in distribution.files or () if not entry.parts[0].endswith((".dist-info", ".data"))}
    if file not in files or not (path := Path(str(distribution.locate_file(files[file])))).is_file():
        existing = sorted(name for name in files if name.endswith(".gguf"))
        raise InputError(
            f"base: package '{package}' has no file '{file[:80]}'{did_you_mean(file, existing)}; GGUF files in it: {', '.join(existing) or 'none'}"
        )
    return path


def gguf_file(package: str | None, file: str, version: str | None) -> Path:
    """The GGUF file of a base: inside an installed package, or a path. InputError where it is missing, or no GGUF by its first bytes."""
    path = Path(file) if package is None else package_file(package, file, version)
    try:
        with path.open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if magic != b"GGUF":
        raise InputError(f"{path}: not a GGUF file; fetch it again")
    return path


def check_hash(path: Path, actual: str, expected: str | None) -> None:
    """InputError when the hash of `path` is not the pinned one."""
    if expected is not None and actual != expected:
        raise InputError(f"{path}: its sha256 is {actual}, and the recipe pins {expected}; this is another file")


def folder_files(folder: Path) -> list[Path]:
    """The files of a model folder that decide what the model is.

    InputError when it has no safetensors (pickled weights are not loaded), or one that is damaged, by its header.
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no config.json here; give the folder of a Hugging Face model")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = sorted(item.name for item in folder.glob("*.bin"))
        reason = f"only pickled weights ({', '.join(pickled)}), which can run code when loaded; convert them to safetensors" if pickled else "no weights"
        raise InputError(f"{folder}: no *.safetensors here, {reason}")
    for path in weights:
        read_header(path)
    if not isinstance(read_json(folder / "config.json", allow_nan=True), dict):
        raise InputError(f"{folder / 'config.json'}: not the configuration of a model")
    names = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja"]
    names += IMAGE_FILES
    names.append("jp_adapt.json")  # which token begins a document (inference/text_side.py)
    return [folder / name for name in names if (folder / name).is_file()] + weights


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a commit: 40 hex digits, which name the same files forever."""
    return revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def resolve_revision(model: str, revision: str) -> str:
    """The commit, 40 hex digits, that a branch or tag of a hub repository names now; a commit is itself. InputError where the hub does not say."""
    if is_commit(revision):
        return revision
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(model, revision=revision).sha
    except Exception as error:  # the hub client raises errors of a dozen kinds
        raise InputError(
            f"{model}@{revision}: the hub does not say which commit that is ({_first_line(error)}); give one, as {model}@<40 hex digits>"
        ) from error
    if commit is None:
        raise InputError(f"{model}@{revision}: the hub names no commit; give one, as {model}@<40 hex digits>")
    return str(commit)


def download(model: str, revision: str, files: Sequence[str] = MODEL_FILES) -> Path:
    """Folder with the `files` (patterns) of a hub repository at a pinned revision. InputError, with a way out, when the hub does not give them."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(files)))
    except Exception as error:  # the hub client raises errors of a dozen kinds
        raise InputError(
            f"{model}@{revision}: the hub does not give it ({_first_line(error)}); check name, revision and access, or give a local folder"
        ) from error


def _first_line(error: Exception) -> str:
    """What an error of the hub's client says first; its name if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
