"""What the server of `tests/processes.py` loads once, before it forks: what a training and an evaluation import."""

from importlib import import_module

import jp_adapt.cli.main
import jp_adapt.commands.evaluate
import jp_adapt.commands.judge
import jp_adapt.training.loop  # noqa: F401
from jp_adapt.pipeline.stages.kinds import RUNNERS

for module, _ in RUNNERS.values():
    import_module(f"jp_adapt.pipeline.stages.{module}")
