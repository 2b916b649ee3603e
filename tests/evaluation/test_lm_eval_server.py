"""lm-eval's own client, `local-completions`, against `jp-adapt eval server`: what it gets there is what its `hf` model computes."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [
    pytest.mark.programs,
    pytest.mark.filterwarnings("ignore"),  # lm-eval's and its libraries' own
    pytest.mark.skipif(not all(map(importlib.util.find_spec, ("tenacity", "aiohttp"))), reason="tenacity and aiohttp are missing (pip install 'lm-eval[api]')"),
]
ITEMS = 20
TASK = "dataset_path: json\ndataset_kwargs: {{data_files: {{test: {file}}}}}\ntest_split: test\ndoc_to_text: q\ntarget_delimiter: ''\n"
CHOICE = "task: served_choice\noutput_type: multiple_choice\ndoc_to_choice: options\ndoc_to_target: gold\nmetric_list: [{metric: acc}]\n"
TEXT = (
    "task: served_text\noutput_type: generate_until\ndoc_to_target: gold\ngeneration_kwargs: {until: ['.'], max_gen_toks: 12}\n"
    "metric_list: [{metric: exact_match}]\n"
)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    words = ["rain", "雨", "sun", "river", "山"]
    rows = [{"q": f"The {words[n % 5]} of {n}", "options": [" cold", " 今日", " warm, and it"], "gold": n % 3} for n in range(ITEMS)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name, task in (("choice", CHOICE), ("text", TEXT)):
        (tmp_path / f"{name}.yaml").write_text(task + TASK.format(file=tmp_path / "items.jsonl"), encoding="utf-8")
    return tmp_path


@pytest.fixture
def address(pico: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jp_adapt", "eval", "server", str(pico), "--port", str(port), "--dtype", "float32"]
    process = subprocess.Popen(command, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    try:
        for _ in range(1200):
            try:
                httpx2.get(f"http://127.0.0.1:{port}/v1/models")
                break
            except httpx2.TransportError:
                assert process.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1/completions"
    finally:
        process.terminate()
        process.wait(30)


def test_scores_of_local_completions_are_those_of_hf(pico: Path, tasks: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tasks / "hf"))
    import lm_eval
    from lm_eval.tasks import TaskManager

    def run(model: str, arguments: dict[str, Any]) -> dict[str, Any]:
        manager = TaskManager(include_path=str(tasks), include_defaults=False)
        found = lm_eval.simple_evaluate(model, arguments, tasks=["served_choice", "served_text"], task_manager=manager, batch_size=8, bootstrap_iters=0)
        return found["samples"]

    hf = run("hf", {"pretrained": str(pico), "dtype": "float32", "device": "cpu"})
    served = run("local-completions", {"base_url": address, "model": pico.name, "tokenizer": str(pico), "tokenizer_backend": "huggingface", "max_length": 512})
    for name in hf:
        assert len(hf[name]) == len(served[name]) == ITEMS
    for theirs, ours in zip(hf["served_choice"], served["served_choice"], strict=True):
        assert [float(nats) for nats, _ in ours["filtered_resps"]] == pytest.approx([float(nats) for nats, _ in theirs["filtered_resps"]], abs=1e-3)
        assert [greedy for _, greedy in ours["filtered_resps"]] == [greedy for _, greedy in theirs["filtered_resps"]]
        assert ours["acc"] == theirs["acc"]
    assert [entry["filtered_resps"] for entry in served["served_text"]] == [entry["filtered_resps"] for entry in hf["served_text"]]
    assert len({str(entry["filtered_resps"]) for entry in hf["served_text"]}) > 3
