"""A Slurm script that runs a recipe on the GPUs of several nodes."""

from __future__ import annotations

import shlex

TEMPLATE = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={gpus}
#SBATCH --cpus-per-task={cpus}
#SBATCH --time={time}
#SBATCH --output={name}-%j.log
#SBATCH --signal=TERM@120
#SBATCH --requeue
{extra}
# Two minutes before the time is up every process gets SIGTERM: it saves a checkpoint and exits 130. Submit the same script again to continue.
# The run folder must lie on a disk that all nodes see. Activate your environment here, for example:
# source .venv/bin/activate
set -euo pipefail
export HF_HUB_OFFLINE=${{HF_HUB_OFFLINE:-1}}
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes={nodes} --nproc-per-node={gpus} --rdzv-backend=c10d --rdzv-id="$SLURM_JOB_ID" --rdzv-endpoint="$head:29500" \\
  -m jp_adapt run {recipe} --out {out}
"""


def sbatch_script(recipe: str, name: str, out: str, *, nodes: int, gpus: int, cpus: int, time: str, options: dict[str, str | None]) -> str:
    """The text of the script.

    Args:
        gpus: of each node; so many processes run there.
        cpus: cores of each node's task.
        time: as Slurm takes it, such as 24:00:00.
        options: more #SBATCH lines, name -> value: partition, account.
    """
    extra = "".join(f"#SBATCH --{key}={value}\n" for key, value in options.items() if value)
    return TEMPLATE.format(
        name=name, nodes=nodes, gpus=gpus, cpus=cpus, time=time, extra=extra.rstrip("\n"), recipe=shlex.quote(recipe), out=shlex.quote(out)
    ).replace("--requeue\n\n", "--requeue\n")
