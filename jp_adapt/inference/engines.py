"""The engines that `--backend` names, besides the local one. A new engine is a file of its own and a row here."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean

if TYPE_CHECKING:
    from jp_adapt.inference.text_side import TextSide
    from jp_adapt.inference.token_backend import VersionedEngine

LOCAL = "local"
OpenEngine = Callable[[Path, "TextSide", str], "VersionedEngine"]  # (model folder, its text side, dtype)

# name: "module:function" in this room, imported when the engine is asked for; or the function itself
ENGINES: dict[str, str | OpenEngine] = {"vllm": "vllm_engine:open_vllm"}


def add_engine(name: str, open_engine: OpenEngine) -> None:
    """Add an engine, for a plugin. `open_engine` takes the model folder, its text side (tokenizer, stop ids, context length) and a dtype.

    ValueError where the name is taken by another engine.
    """
    if name == LOCAL or ENGINES.setdefault(name, open_engine) is not open_engine:
        raise ValueError(f"there is an engine '{name}' already; choose another name")


def find_engine(name: str) -> OpenEngine:
    """The function that opens an engine. UsageError for an unknown name."""
    if name not in ENGINES:
        names = [LOCAL, *ENGINES]
        raise UsageError(f"--backend {name}: no such engine{did_you_mean(name, names)}; engines: {', '.join(names)}")
    engine = ENGINES[name]
    if callable(engine):
        return engine
    module, _, function = engine.partition(":")
    opened: OpenEngine = getattr(import_module(f"jp_adapt.inference.{module}"), function)
    return opened
