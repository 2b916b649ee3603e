"""vLLM in this process as an engine (extra `vllm`): its own batches and prefix cache, `prompt_logprobs` for log-likelihoods.

Written against vLLM's documented interface (LLM, SamplingParams, TokensPrompt; `prompt_logprobs=0` gives each prompt token's own log-probability). It has not
been run on a GPU by the project's tests.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.core.errors import JpAdaptError, UsageError
from jp_adapt.core.progress import Advance
from jp_adapt.inference.answer import Continuation, Continued, whole
from jp_adapt.inference.text_side import TextSide
from jp_adapt.inference.token_backend import Engine, OneAtATime
from jp_adapt.inference.trie import Request, sum_over_windows

if TYPE_CHECKING:
    from jp_adapt.inference.text_side import TextSide

AT_ONCE = 256  # requests between two words of progress; vLLM fills its batches from them


def open_vllm(folder: Path, side: TextSide, dtype: str) -> VllmEngine:
    """The row of vLLM in the table of engines."""
    return VllmEngine(str(folder), side, dtype=dtype)


class VllmEngine:
    """A model folder in vLLM, behind the interface of `token_backend.Engine`.

    Attributes:
        max_tokens: the longest text that it takes: vLLM has to generate one token after each, and a model has no more positions than it was made for.

    Raises:
        UsageError: vLLM is not installed.
        JpAdaptError: vLLM cannot load the folder.
    """

    def __init__(self, folder: str, side: TextSide, *, dtype: str) -> None:
        try:
            self.vllm: Any = importlib.import_module("vllm")
        except ImportError as error:
            raise UsageError(f"--backend vllm: vLLM cannot be imported ({error}); it needs a GPU: pip install 'jp-adapt[vllm]'") from error
        self.version = str(self.vllm.__version__)
        self.decode, self.decode_marked, self.stop_ids = side.tokenizer.runtime.decode, side.tokenizer.decode, list(side.stop_ids)
        positions = min(side.max_tokens + 1, side.positions or side.max_tokens + 1)
        self.max_tokens = positions - 1
        try:
            self.llm = self.vllm.LLM(model=folder, dtype=dtype, max_model_len=positions, trust_remote_code=False)  # no code of the model's is run
        except Exception as error:  # vLLM raises errors of many kinds, with pages of text
            raise JpAdaptError(f"--backend vllm: vLLM {self.version} cannot load {folder} ({type(error).__name__}: {_first_line(error)})") from error

    def log_likelihoods(self, requests: Sequence[Request], max_tokens: int, advance: Advance) -> list[float]:
        settings = self.vllm.SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)

        def score(windows: list[Request]) -> list[float]:
            nats = [0.0] * len(windows)
            asked = [at for at, window in enumerate(windows) if window.first < len(window.ids)]
            for start in range(0, len(asked), AT_ONCE):
                part = asked[start : start + AT_ONCE]
                for at, output in zip(part, self._run([windows[at].ids for at in part], settings), strict=True):
                    nats[at] = _sum(output.prompt_logprobs, windows[at])
                advance(min(start + len(part), len(requests)), "")
            return nats

        return sum_over_windows(requests, max_tokens, score)

    def continue_prompts(self, requests: Sequence[Continuation], advance: Advance) -> list[Continued]:
        answers: list[Continued] = []
        for start in range(0, len(requests), AT_ONCE):
            part = requests[start : start + AT_ONCE]
            settings = [self._settings(entry) for entry in part]
            for entry, output in zip(part, self._run([entry.ids for entry in part], settings), strict=True):
                ids = list(output.outputs[0].token_ids)[: max(0, entry.max_tokens)]
                end = next((at for at, token in enumerate(ids) if token in self.stop_ids), len(ids))
                answers.append(
                    whole(entry, ids[:end], ends=len(ids) < entry.max_tokens or end < len(ids), decode=self.decode, decode_marked=self.decode_marked)
                )
            advance(len(answers), "")
        return answers

    def _settings(self, request: Continuation) -> Any:
        """Without stop strings where the text may begin with a thought, which may hold them."""
        draw = request.draw
        drawn: dict[str, Any] = {"temperature": 0.0}
        if draw is not None:
            drawn = {"temperature": draw.temperature, "top_p": draw.top_p, "top_k": draw.top_k, "seed": draw.seed}
        stop = [] if request.thinks else list(request.stop)
        return self.vllm.SamplingParams(max_tokens=max(1, request.max_tokens), stop=stop, stop_token_ids=self.stop_ids, **drawn)

    def _run(self, prompts: list[list[int]], settings: Any) -> list[Any]:
        outputs: list[Any] = self.llm.generate([self.vllm.TokensPrompt(prompt_token_ids=ids) for ids in prompts], settings, use_tqdm=False)
        return outputs

    def take_warnings(self) -> list[str]:
        return []

    def again(self, *, one_at_a_time: bool) -> Engine:
        return OneAtATime(self) if one_at_a_time else self


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:300]


def _sum(given: Any, window: Request) -> float:
    """ln p of a window's scored ids, of vLLM's list over positions: None for the first, and then {id: Logprob} with the prompt's own id in it."""
    if given is None or len(given) != len(window.ids):
        raise JpAdaptError(f"vLLM gave log-probabilities of {0 if given is None else len(given)} of {len(window.ids)} prompt tokens")
    return float(sum(given[at][window.ids[at]].logprob for at in range(window.first, len(window.ids))))
