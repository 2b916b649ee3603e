"""Optional packages: is one installed, and how to install it."""

from __future__ import annotations

from importlib.util import find_spec

from jp_adapt.core.errors import UsageError


def require_deepspeed() -> None:
    """UsageError when the package is not installed; it is not imported for the answer."""
    if find_spec("deepspeed") is None:
        raise UsageError("distributed: deepspeed needs DeepSpeed, which is not installed; pip install 'jp-adapt[deepspeed]', or use distributed: fsdp")
