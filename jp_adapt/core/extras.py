"""Optional packages: is one installed, and how to install it."""

from __future__ import annotations

from importlib.util import find_spec

from jp_adapt.core.errors import UsageError

# The package whose import each extra of pyproject.toml is for.
PACKAGES = {
    "cluster": "datatrove",
    "deepspeed": "deepspeed",
    "preference": "trl",
    "qlora": "bitsandbytes",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "trackio": "trackio",
    "vllm": "vllm",
    "gguf": "xllamacpp",
    "ui": "starlette",
    "vision": "PIL",
    "nagisa": "nagisa",
}


def missing_extra(extra: str) -> str | None:
    """How to install the package of an extra; None when it is installed. The package is not imported for the answer."""
    package = PACKAGES[extra]
    return None if find_spec(package) is not None else f"{package} is not installed; pip install 'jp-adapt[{extra}]'"


def require_extra(extra: str, what: str, otherwise: str = "") -> None:
    """UsageError when the package of an extra is not installed. `what` needs it; `otherwise` says what to do without."""
    if (missing := missing_extra(extra)) is not None:
        raise UsageError(f"{what}: {missing}" + (f", or {otherwise}" if otherwise else ""))
