"""What the server of `tests/processes.py` loads once, before it forks: what a training and an evaluation import."""

import gc
from importlib import import_module

import jp_adapt.cli.main
import jp_adapt.commands.evaluate
import jp_adapt.commands.judge
import jp_adapt.training.loop  # noqa: F401
import tests.conftest  # noqa: F401  # no waits for the disk
from jp_adapt.pipeline.stages.kinds import RUNNERS

for module, _ in RUNNERS.values():
    import_module(f"jp_adapt.pipeline.stages.{module}")
gc.freeze()  # a fork that walks through the heap copies none of this
