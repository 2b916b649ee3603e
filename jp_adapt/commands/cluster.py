"""Prepare a corpus on more than one machine: the job of a corpus recipe as a block of a datatrove pipeline, for its local, Slurm and Ray executors.

datatrove starts the tasks, restarts those that failed and knows which are done; what a task does is what `corpus prepare` does with the same files, so
the shards are the same bytes. It is imported by nothing here: pip install 'jp-adapt[cluster]'.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jp_adapt.commands.corpus import corpus_job
from jp_adapt.corpus.prepare import do_units, partial_folder
from jp_adapt.recipe.load_corpus import load_corpus


class CorpusTasks:
    """The block: task `rank` of `world_size` does every `world_size`-th file of the recipe's sources, into `out`.partial, which all machines see.

    Give it to an executor as its whole pipeline. When all tasks are done, `jp-adapt corpus prepare RECIPE --out OUT` with the same recipe finds their parts
    and writes the corpus. The recipe is read, and the files are hashed, once: where this is made.

    Raises:
        UsageError, InputError: the recipe is wrong, or a file is missing.
    """

    def __init__(self, recipe: str | Path, out: str | Path, overrides: Sequence[str] = ()) -> None:
        self.job = corpus_job(load_corpus(recipe, overrides))
        out = Path(out).resolve()
        self.partial = partial_folder(out)

    def __call__(self, data: Any = None, rank: int = 0, world_size: int = 1) -> None:
        """Do the files of one task; `data` is what datatrove hands from block to block, and nothing is handed on."""
        do_units(self.partial, self.job.readers, self.job.work, identity=self.job.identity, rank=rank, world_size=world_size)
