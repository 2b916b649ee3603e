"""What the licence of a base asks of a model that is made from it and passed on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jp_adapt.core.errors import UsageError


@dataclass(frozen=True)
class LlamaLicence:
    """A community licence of Meta's.

    Attributes:
        hub: its identifier on the hub. pattern: hub ids of the bases that are under it.
        notice: text of the file NOTICE that goes with every copy.
        prefix: how the name of a model must begin that was made from it; None where the licence does not say (Llama 2).
        built_with: what must be displayed.
    """

    hub: str
    pattern: re.Pattern[str]
    notice: str
    prefix: str | None
    built_with: str | None


def _notice(name: str, licence: str) -> str:
    return f"{name} is licensed under the {licence}, Copyright © Meta Platforms, Inc. All Rights Reserved."


def _llama(version: str, *, prefix: str, built_with: str, name: str) -> LlamaLicence:
    return LlamaLicence(
        f"llama{version}",
        re.compile(rf"meta-llama/(Meta-)?Llama-{re.escape(version)}(-|$)", re.IGNORECASE),
        _notice(name, f"{name} Community License"),
        prefix,
        built_with,
    )


# Section 1.b of each licence; of Llama 2 section 1.b.iii (the notice alone).
LLAMA = (
    LlamaLicence(
        "llama2",
        re.compile(r"meta-llama/(Llama-2|CodeLlama)-", re.IGNORECASE),
        "Llama 2 is licensed under the LLAMA 2 Community License, Copyright (c) Meta Platforms, Inc. All Rights Reserved.",
        None,
        None,
    ),
    _llama("3", prefix="Llama 3", built_with="Built with Meta Llama 3", name="Meta Llama 3"),
    _llama("3.1", prefix="Llama", built_with="Built with Llama", name="Llama 3.1"),
    _llama("3.2", prefix="Llama", built_with="Built with Llama", name="Llama 3.2"),
    _llama("3.3", prefix="Llama", built_with="Built with Llama", name="Llama 3.3"),
    _llama("4", prefix="Llama", built_with="Built with Llama", name="Llama 4"),
)


def llama_licence(licence: str) -> LlamaLicence | None:
    """The community licence of an identifier of the hub, or None for another licence."""
    return next((entry for entry in LLAMA if entry.hub == licence), None)


def settled_licence(given: str | None, card: str | None, base_model: str | None) -> str:
    """The licence of a model: the one that is given, else its card's, else that of its base.

    UsageError where none is known, or where it is not the one that the base's own licence demands.
    """
    demanded = next((entry.hub for entry in LLAMA if base_model is not None and entry.pattern.match(base_model)), None)
    licence = given or card or demanded
    if licence is None:
        raise UsageError("no licence is known of this model: the base's holds for it too, so say which with --licence (apache-2.0, llama3.1, ...)")
    if demanded is not None and licence != demanded:
        raise UsageError(f"--licence {licence}: a model made from {base_model} is under {demanded}, whatever its own authors choose")
    return licence


def check_name(repo: str, licence: str) -> None:
    """UsageError where the licence says how a model's name begins, and this one does not."""
    of = llama_licence(licence)
    name = repo.rsplit("/", 1)[-1]
    if of is not None and of.prefix is not None and not re.match(of.prefix.replace(" ", "[-_ ]?") + r"(?![a-z])", name):
        raise UsageError(
            f"{repo}: the licence {licence} asks that the name of a model made from it begin with '{of.prefix}'; take {of.prefix.replace(' ', '-')}-{name}"
        )
