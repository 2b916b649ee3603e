"""The declarations that come with jp-adapt: `recipes/` and `eval/`, in a checkout at the top level, in a wheel under `jp_adapt/_shipped/`."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
NO_BENCHMARKS = {"judge", "published", "suites"}  # folders of eval/ that hold other declarations


def shipped_folder(name: str) -> Path:
    """Folder of the shipped declarations of one kind, `name` being "recipes" or "eval"."""
    installed = PACKAGE / "_shipped" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of every shipped recipe."""
    return {path.stem: path for path in sorted(shipped_folder("recipes").glob("*.yaml"))}


def shipped_benchmarks() -> dict[str, Path]:
    """ "folder/name" -> file of every shipped benchmark."""
    root = shipped_folder("eval")
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.glob("*/*.yaml")) if path.parent.name not in NO_BENCHMARKS}


def shipped_judges() -> dict[str, Path]:
    """Name -> file of every shipped declaration of a judge."""
    return {path.stem: path for path in sorted(shipped_folder("eval").glob("judge/*.yaml"))}


def shipped_published() -> dict[str, Path]:
    """Name -> file of every shipped table of published scores."""
    return {path.stem: path for path in sorted(shipped_folder("eval").glob("published/*.yaml"))}


def shipped_suites() -> dict[str, Path]:
    """Name -> file of every shipped suite of benchmarks."""
    return {path.stem: path for path in sorted((shipped_folder("eval") / "suites").glob("*.yaml"))}


def shipped_corpora() -> dict[str, Path]:
    """Name -> file of every shipped corpus recipe."""
    return {path.stem: path for path in sorted((shipped_folder("recipes") / "corpora").glob("*.yaml"))}


def shipped_sources() -> dict[str, Path]:
    """Name -> file of every shipped declaration of a public corpus."""
    return {path.stem: path for path in sorted((shipped_folder("recipes") / "sources").glob("*.yaml"))}
