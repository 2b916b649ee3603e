"""vLLM cannot be installed where there is no GPU: its interface is replaced at the import, over a real small model, to hold shapes and sums."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from jp_adapt.commands.evaluate import evaluate
from jp_adapt.core.errors import JpAdaptError, UsageError
from jp_adapt.evaluation.results import read_outputs
from tests.benchmark_files import write_benchmark_files
from tests.commands.test_evaluate_endpoint import same


class LLM:
    """What the engine uses of vllm.LLM."""

    def __init__(self, model: str, dtype: str, max_model_len: int, trust_remote_code: bool) -> None:
        assert (dtype, max_model_len, trust_remote_code) == ("float32", 512, False), "no more positions than the model has"
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)

    def generate(self, prompts, settings, use_tqdm):
        assert use_tqdm is False
        return [
            self._one(p["prompt_token_ids"], s) for p, s in zip(prompts, settings if isinstance(settings, list) else [settings] * len(prompts), strict=True)
        ]

    @torch.inference_mode()
    def _one(self, ids, settings):
        results = None
        if settings.prompt_logprobs is not None:
            logs = self.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            results = [None, *({ids[at]: SimpleNamespace(logprob=float(logs[at - 1, ids[at]]))} for at in range(1, len(ids)))]
        new = self.model.generate(torch.tensor([ids]), max_new_tokens=settings.max_tokens, do_sample=False, eos_token_id=0, pad_token_id=0)[0, len(ids) :]
        return SimpleNamespace(prompt_logprobs=results, outputs=[SimpleNamespace(token_ids=new.tolist())])


class SamplingParams(SimpleNamespace):
    def __init__(self, temperature, max_tokens, prompt_logprobs=None, detokenize=True, stop=(), stop_token_ids=()):
        assert temperature == 0.0
        super().__init__(max_tokens=max_tokens, prompt_logprobs=prompt_logprobs)


def test_scores_are_those_of_the_local_engine(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"benchmarks": ("ja/jcommonsenseqa", "ja/niilc"), "data": write_benchmark_files(tmp_path / "data"), "limit": 2, "shots": 0, "dtype": "float32"}
    evaluate(pico, tmp_path / "local", **options)
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams, module.TokensPrompt, module.__version__ = LLM, SamplingParams, dict, "0.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    scores = evaluate(pico, tmp_path / "out", backend="vllm", **options)
    assert scores.model["vllm"] == "0.0"
    same(list(read_outputs(tmp_path / "out")), list(read_outputs(tmp_path / "local")))


def test_without_vllm_the_way_to_it_is_told(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UsageError, match=r"--backend vllm: vLLM cannot be imported .*pip install 'jp-adapt\[vllm\]'"):
        evaluate(pico, tmp_path / "out", benchmarks=("quickstart/ja-everyday-100",), backend="vllm")


def test_what_vllm_cannot_load_is_one_line(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(**options: object) -> None:
        raise ValueError("\n1 validation error for ModelConfig\n  Value error, User-specified max_model_len is too large\n  For further information visit ...")

    module = ModuleType("vllm")
    module.LLM, module.__version__ = refuses, "0.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    with pytest.raises(JpAdaptError) as caught:
        evaluate(pico, tmp_path / "out", benchmarks=("quickstart/ja-everyday-100",), backend="vllm")
    given = f"quickstart/ja-everyday-100: --backend vllm: vLLM 0.0 cannot load {pico} (ValueError: 1 validation error for ModelConfig)"
    assert str(caught.value) == given
