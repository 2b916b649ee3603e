"""What the licence of a base asks of a model that is made from it and passed on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean

# Identifiers that the hub takes on a card (huggingface.co/docs/hub/repositories-licenses); it refuses a card that names another.
_IDENTIFIERS = """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0
    bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0
    cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl
    gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
    openmdw-1.0 openmdw-1.1 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
    fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown other
"""
IDENTIFIERS = frozenset(_IDENTIFIERS.split())


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

    UsageError where none is known, where it is not the one that the base's own licence demands, or where the hub knows no such identifier.
    """
    demanded = next((entry.hub for entry in LLAMA if base_model is not None and entry.pattern.match(base_model)), None)
    licence = given or card or demanded
    if licence is None:
        raise UsageError("no licence is known of this model: the base's holds for it too, so say which with --licence (apache-2.0, llama3.1, ...)")
    if demanded is not None and licence != demanded:
        raise UsageError(f"--licence {licence}: a model made from {base_model} is under {demanded}, whatever its own authors choose")
    if licence not in IDENTIFIERS:
        near = did_you_mean(licence.lower(), sorted(IDENTIFIERS))
        raise UsageError(f"--licence {licence}: no identifier that the hub knows{near}; see huggingface.co/docs/hub/repositories-licenses, or take 'other'")
    return licence


def settled_name(licence: str, name: object, folder: Path) -> str:
    """What the licence is called: of `other` the name that the model's card gives, else its identifier. UsageError where `other` has none."""
    if licence != "other":
        return licence
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"--licence other: the hub asks for its name; write 'license_name: NAME' into the front matter of {folder / 'README.md'}")
    return name


def check_name(repo: str, licence: str) -> None:
    """UsageError where the licence says how a model's name begins, and this one does not."""
    of = llama_licence(licence)
    name = repo.rsplit("/", 1)[-1]
    if of is not None and of.prefix is not None and not re.match(of.prefix.replace(" ", "[-_ ]?") + r"(?![a-z])", name):
        raise UsageError(
            f"{repo}: the licence {licence} asks that the name of a model made from it begin with '{of.prefix}'; take {of.prefix.replace(' ', '-')}-{name}"
        )
