#!/usr/bin/env bash
# datatrove 0.10.1 with ray 2.60.0: RayPipelineExecutor(time=SECONDS) stops a task that takes longer, and then waits for it once more: `run` ends with a KeyError instead of the
# report that some tasks are left. The other tasks' work is kept; the same script again does what is missing. Without `time`, a task whose own process is killed is waited for without end.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'datatrove==0.10.1' 'ray==2.60.0' 'multiprocess==0.70.19'
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY' 2>"$folder/errors.txt" || { tail -5 "$folder/errors.txt"; exit 1; }
import os
import time
from importlib.metadata import version

import ray
from datatrove.executor.ray import RayPipelineExecutor

print("datatrove", version("datatrove"), "ray", version("ray"))


def work(data, rank=0, world_size=1):
    time.sleep(60 if rank == 1 else 0)


ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=100_000_000)
logs = os.path.join(os.environ["FOLDER"], "logs")
executor = RayPipelineExecutor([work], tasks=2, workers=2, mem_per_cpu_gb=0.1, time=10, logging_dir=logs)
try:
    executor.run()
    outcome = "returned"
except KeyError as error:
    outcome = f"KeyError, of {str(error).split('(')[0]}"
print("run:", outcome)
print("tasks done:", sorted(os.listdir(os.path.join(logs, "completions"))))
assert outcome == "KeyError, of ObjectRef"
assert sorted(os.listdir(os.path.join(logs, "completions"))) == ["00000"]
ray.shutdown()
PY
