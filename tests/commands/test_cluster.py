"""The tasks of datatrove's executors make the corpus that one process makes."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.cluster import CorpusTasks
from tests.conftest import ROOT, documents


@pytest.fixture
def recipe(tmp_path: Path, pico: Path) -> Path:
    """Seven files of two sources, one of them with a broken line."""
    for name, texts in (("ja", documents("ja_train.jsonl")[:40]), ("en", documents("en_train.jsonl")[:9])):
        for number in range(0, len(texts), 10):
            lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in [*texts[number : number + 10], texts[0]]]
            (tmp_path / f"{name}-{number:02d}.jsonl").write_text("".join(lines) + ("{\n" if number == 10 else ""), encoding="utf-8")
    path = tmp_path / "mine.yaml"
    sources = "".join(f"  {name}: {{path: '{name}-*.jsonl', language: {name}, licence: Apache-2.0, on_error: skip}}\n" for name in ("ja", "en"))
    path.write_text(f"format: 1\nname: mine\ntokenizer: {pico}\ntexts: true\nsources:\n{sources}", encoding="utf-8")
    return path


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _finish_as_straight(recipe: Path, tmp_path: Path) -> None:
    """`prepare` continues where tasks ended, to the bytes of a run without them."""
    for name in ("out", "straight"):
        assert main(["corpus", "prepare", str(recipe), "--out", str(tmp_path / name)]) == 0
    assert _content(tmp_path / "out") == _content(tmp_path / "straight")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_tasks_in_any_order_make_the_same_bytes(recipe: Path, tmp_path: Path, order: tuple[int, ...]) -> None:
    assert main(["corpus", "prepare", str(recipe), "--out", str(tmp_path / "straight")]) == 0
    tasks = CorpusTasks(recipe, tmp_path / "out")
    for rank in order:
        tasks(rank=rank, world_size=3)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out.partial" / "parts").iterdir()}
    assert len(before) == 5
    assert main(["corpus", "prepare", str(recipe), "--out", str(tmp_path / "out")]) == 0
    assert _content(tmp_path / "out") == _content(tmp_path / "straight")
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["sources"][0]["problems"]["count"] == 1


def test_what_the_tasks_left_out_is_done_at_the_end(recipe: Path, tmp_path: Path) -> None:
    CorpusTasks(recipe, tmp_path / "out")(rank=1, world_size=3)
    assert sorted(path.stem for path in (tmp_path / "out.partial" / "units").iterdir()) == ["unit-000001", "unit-000004"], "its share and no more"
    _finish_as_straight(recipe, tmp_path)


@pytest.mark.filterwarnings("ignore")  # datatrove's own
def test_the_local_executor_of_datatrove_with_several_tasks(recipe: Path, tmp_path: Path) -> None:
    local = pytest.importorskip("datatrove.executor.local", reason="datatrove is not installed: pip install 'jp-adapt[cluster]'")
    executor = local.LocalPipelineExecutor([CorpusTasks(recipe, tmp_path / "out")], tasks=4, workers=2, logging_dir=str(tmp_path / "logs"))
    executor.run()
    assert len(list((tmp_path / "logs" / "completions").iterdir())) == 4
    _finish_as_straight(recipe, tmp_path)


# What Slurm does with a script, without its queue: `sbatch` runs it once for each index of the array, with the variables that Slurm sets.
PROGRAMS = {
    "sbatch": """#!/bin/bash
for script in "$@"; do :; done  # the last argument
for option in "$@"; do case "$option" in --export=ALL,*) export "${option#--export=ALL,}" ;; esac; done
export SLURM_JOB_ID=17 SLURM_NODELIST=here
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for index in $(seq 0 "$last"); do
  SLURM_ARRAY_TASK_ID=$index bash "$script" >> "$(dirname "$0")/jobs.log" 2>&1 || exit 1
done
echo "Submitted batch job 17"
""",
    "srun": """#!/bin/bash
while [ $# -gt 0 ]; do case "$1" in -l) shift ;; -n) shift 2 ;; *) break ;; esac; done
exec "$@"
""",
    "scontrol": """#!/bin/bash
echo here
""",
}


@pytest.mark.filterwarnings("ignore")  # datatrove's own
def test_the_slurm_executor_of_datatrove_submits_a_script_that_does_the_tasks(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm = pytest.importorskip("datatrove.executor.slurm", reason="datatrove is not installed: pip install 'jp-adapt[cluster]'")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}")  # the second for datatrove's own programs
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    tasks = CorpusTasks(recipe, tmp_path / "out")
    slurm.SlurmPipelineExecutor(
        [tasks], tasks=2, time="00:10:00", partition="cpu", mem_per_cpu_gb=3, logging_dir=str(tmp_path / "logs"), job_name="corpus"
    ).run()
    script = (tmp_path / "logs" / "launch_script.slurm").read_text(encoding="utf-8")
    assert "#SBATCH --array=0-1\n" in script
    assert "#SBATCH --mem-per-cpu=3G\n" in script
    assert len(list((tmp_path / "logs" / "completions").iterdir())) == 2, (programs / "jobs.log").read_text(encoding="utf-8")
    assert len(list((tmp_path / "out.partial" / "units").iterdir())) == 5, "all files are done by the tasks"
    _finish_as_straight(recipe, tmp_path)


@pytest.mark.filterwarnings("ignore")  # datatrove's own
def test_a_worker_of_the_ray_executor_of_datatrove_does_the_tasks_that_it_is_sent(recipe: Path, tmp_path: Path) -> None:
    """What Ray runs in its actors, called here: the executor as it comes out of a pickle, and ranks. Ray's own queue is part of the next test."""
    ray = pytest.importorskip("datatrove.executor.ray", reason="datatrove is not installed: pip install 'jp-adapt[cluster]'")
    executor = ray.RayPipelineExecutor([CorpusTasks(recipe, tmp_path / "out")], tasks=3, workers=2, logging_dir=str(tmp_path / "logs"))
    sent = pickle.loads(pickle.dumps(executor))  # noqa: S301
    for ranks in ([0, 2], [1]):
        ray.RankWorker().run_for_rank(sent, ranks, ["here"], 0)
    assert len(list((tmp_path / "logs" / "completions").iterdir())) == 3
    assert len(list((tmp_path / "out.partial" / "units").iterdir())) == 5, "all files are done by the tasks"
    _finish_as_straight(recipe, tmp_path)


@pytest.mark.programs
@pytest.mark.filterwarnings("ignore")  # Ray's own and datatrove's own
def test_two_nodes_of_ray_and_an_actor_that_is_killed(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    executors = pytest.importorskip("datatrove.executor.ray", reason="datatrove is not installed: pip install 'jp-adapt[cluster]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    node = {"num_cpus": 1, "memory": 2 * 2**30, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    ray.init(address=cluster.address, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    try:
        assert sum(one["Alive"] for one in ray.nodes()) == 2
        tasks = KilledOnce(CorpusTasks(recipe, tmp_path / "out"), tmp_path / "killed")
        executors.RayPipelineExecutor([tasks], tasks=3, workers=2, mem_per_cpu_gb=1, logging_dir=str(tmp_path / "logs")).run()
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert (tmp_path / "killed").exists()
    assert len(list((tmp_path / "logs" / "completions").iterdir())) == 3
    assert len(list((tmp_path / "out.partial" / "units").iterdir())) == 5, "all files are done by the tasks"
    _finish_as_straight(recipe, tmp_path)


class KilledOnce:
    """The tasks; the actor of the second one is killed once, before any work (datatrove runs a task in a child process of its actor)."""

    def __init__(self, tasks: CorpusTasks, mark: Path) -> None:
        self.tasks, self.mark = tasks, mark

    def __call__(self, data: object = None, rank: int = 0, world_size: int = 1) -> None:
        if rank == 1 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(1)
        self.tasks(data, rank, world_size)
