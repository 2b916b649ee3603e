"""Packages that add metrics or engines to jp-adapt. Each is named in the entry point group `jp_adapt.plugins` and is off until a recipe or a flag names it.

An entry point is a function without arguments that calls `jp_adapt.add_metric` or `jp_adapt.add_engine`. Its code is the user's own choice: installing a
package does not run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean

GROUP = "jp_adapt.plugins"
_used: dict[str, str] = {}


def use_plugins(names: Sequence[str]) -> dict[str, str]:
    """Load the named plugins, each once. Returns the version of each one's package.

    Raises:
        UsageError: no installed package has a plugin of that name, or it fails.
    """
    installed = {point.name: point for point in metadata.entry_points(group=GROUP)}
    for name in names:
        if name in _used:
            continue
        if name not in installed:
            known = f"; installed plugins: {', '.join(sorted(installed))}" if installed else "; none is installed"
            raise UsageError(f"no plugin '{name}'{did_you_mean(name, installed)}{known}")
        point = installed[name]
        try:
            point.load()()
        except Exception as error:
            raise UsageError(f"plugin '{name}' ({point.value}) failed: {type(error).__name__}: {error}") from error
        _used[name] = point.dist.version if point.dist is not None else "unknown"
    return {name: _used[name] for name in names}
