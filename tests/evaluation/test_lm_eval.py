"""Log-likelihoods of the local backend against lm-eval's `hf` backend, on the requests of its own profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.evaluation.prompts import build_prompts
from jp_adapt.inference.model_folder import load_model
from tests.benchmark_files import write_benchmark_files


@pytest.mark.filterwarnings("ignore")  # lm-eval's and its libraries' own
def test_log_likelihoods_are_lm_evals(pico: Path, tmp_path: Path) -> None:
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval is not installed")
    from lm_eval.api.instance import Instance

    data = write_benchmark_files(tmp_path)
    peer = huggingface.HFLM(pretrained=str(pico), device="cpu", dtype="float32", batch_size=4)
    ours = load_model(pico, "float32").backend
    for name in ("ja/jcommonsenseqa", "ja/jnli", "ja/xwinograd-ja"):
        _, prompts = build_prompts(load_benchmark(name, data), "lm-eval-ja", shots=0, limit=5)
        requests = [Instance(request_type="loglikelihood", doc={}, arguments=(prompt.text, choice), idx=0) for prompt in prompts for choice in prompt.choices]
        theirs = [value for value, _ in peer.loglikelihood(requests, disable_tqdm=True)]
        results = ours.choose([prompt.text for prompt in prompts], [prompt.choices for prompt in prompts], "cut", lambda done, note: None)
        flat = [value for entry in results for value in entry.log_likelihoods]
        assert len(flat) == len(theirs) == len(requests) > 0
        assert flat == pytest.approx(theirs, abs=1e-3), name
