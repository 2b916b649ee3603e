"""The engine as a model of lm-evaluation-harness, named `jp_adapt`: its tasks run on prefix trees and continued batches, with the numbers of its `hf` model.

Versions of lm-eval with plugins (its docs/plugins.md, 2026-09) find it by our entry point: `lm_eval run --model jp_adapt --model_args pretrained=DIR ...`.
Versions up to 0.4.13 look for no entry points: there a model is known once the module that registers it is imported. So it is

    python -m jp_adapt.evaluation.lm_eval_model --model jp_adapt --model_args pretrained=DIR,dtype=float32 --tasks ...

which is lm-eval's own command with this module imported first; from Python, `import jp_adapt.evaluation.lm_eval_model` before `lm_eval.simple_evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import has_bos_prefix, normalize_gen_kwargs, postprocess_generated_text, resolve_max_length
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.progress import progress
from jp_adapt.inference.answer import Continuation
from jp_adapt.inference.generate import generate
from jp_adapt.inference.model_folder import load_model
from jp_adapt.inference.score import score_requests
from jp_adapt.inference.text_side import ChatFormat
from jp_adapt.inference.trie import Request

MAX_GEN_TOKS = 256  # HFLM's


@register_model("jp_adapt")
class JpAdaptLM(TemplateLM):
    """A Hugging Face model folder behind lm-eval's interface. Texts become tokens by lm-eval's rules (`TemplateLM`, `HFLM`), through its tokenizer.json.

    `batch_size` and `max_batch_size` are taken, since lm-eval always gives them, and decide nothing: the engine fills its passes by tokens.
    `device` is "cuda:0" by lm-eval's default even where there is no GPU; the model then stays where it was loaded, as HFLM's does.
    """

    def __init__(
        self,
        pretrained: str,
        dtype: str = "auto",
        max_length: int | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        loaded = load_model(Path(pretrained), dtype)
        self.model, self.side = loaded.model, loaded.side
        if device is not None and (torch.cuda.is_available() or not device.startswith("cuda")):
            self.model.to(device)
        self._device = self.model.base_head.device
        self.pretrained = pretrained
        self.max_length = max_length or resolve_max_length(self.model.base.config)

    @property
    def eot_token_id(self) -> int:
        if self.side.starts.eos is None:
            raise InputError(f"{self.pretrained}: the tokenizer names no eos_token, which lm-eval's rules need")
        return self.side.starts.eos

    @property
    def prefix_token_id(self) -> int:
        return self.side.starts.before_empty("cut")

    @property
    def tokenizer_name(self) -> str:
        return str(self.pretrained).replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The template that `apply_chat_template` renders, for lm-eval's record; "" where none is asked for."""
        if isinstance(chat_template, str):
            raise UsageError(f"--apply_chat_template {chat_template}: jp_adapt renders the folder's default template; leave the name out")
        return self._chat().template if chat_template else ""

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation by the folder's own template, on its own day; without `add_generation_prompt` the last message is left open, as HFLM leaves it."""
        chat = self._chat()
        return chat.render_messages(chat_history, prompt=True) if add_generation_prompt else chat.render_open(chat_history)

    def _chat(self) -> ChatFormat:
        if not self.side.chat.own:
            raise InputError(f"{self.pretrained}: has no chat template; leave --apply_chat_template out, or put a chat_template.jinja there")
        return self.side.chat

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Ids with what the tokenizer puts before a text, unless the text begins with it."""
        if add_special_tokens is None:
            add_special_tokens = not has_bos_prefix(string, self.side.tokenizer.decode([self.prefix_token_id]))
        return list(self.side.tokenizer.runtime.encode(string, add_special_tokens=add_special_tokens).ids)

    def _loglikelihood_tokens(self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any) -> list[tuple[float, bool]]:
        """Score (texts, context ids, continuation ids); what does not fit is cut from the left. InputError where the continuation alone does not fit."""
        asked = []
        for texts, context, continuation in requests:
            if not continuation or len(continuation) > self.max_length:
                raise InputError(f"{len(continuation)} tokens of {str(texts)[-60:]!r} are to be scored; lm-eval's rules allow 1 to {self.max_length}")
            ids = (context + continuation)[-(self.max_length + 1) :]
            asked.append(Request(ids, len(ids) - len(continuation)))
        with progress("log-likelihoods", len(asked)) as advance:
            answers = [(entry.log_likelihood, entry.is_greedy) for entry in score_requests(self.model, asked, advance=advance)]
        for (texts, *_rest), answer in zip(requests, answers, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """ln p of whole texts, in lm-eval's windows: each token is scored once, with as much before it as fits."""
        windows: list[tuple[Any, list[int], list[int]]] = []
        owners = []
        for owner, request in enumerate(requests):
            ids = self.tok_encode(request.args[0])
            rolling = get_rolling_token_windows(token_list=ids, prefix_token=self.prefix_token_id, max_seq_len=self.max_length, context_len=1)
            for context, continuation in map(make_disjoint_window, rolling):
                windows.append((None, context, continuation))
                owners.append(owner)
        totals = [0.0] * len(requests)
        for owner, (nats, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            totals[owner] += nats
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Greedy continuations up to a stop string. UsageError for requests that ask for sampling."""
        asked = [self._continuation(*request.args) for request in requests]
        with progress("continuations", len(asked)) as advance:
            answers = generate(self.model, asked, self._decode, stop_ids=self._stop_ids(), advance=advance)
        texts = [postprocess_generated_text(answer.text, list(entry.stop), None) for entry, answer in zip(asked, answers, strict=True)]
        for request, text in zip(requests, texts, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return texts

    def _continuation(self, context: str, gen_kwargs: dict[str, Any]) -> Continuation:
        kwargs: dict[str, Any] = dict(normalize_gen_kwargs(gen_kwargs, MAX_GEN_TOKS))
        if kwargs.get("do_sample") or kwargs.get("num_beams", 1) != 1:
            raise UsageError(f"generation_kwargs {gen_kwargs}: jp_adapt writes the most probable token only; set do_sample: false and no beams")
        budget = int(kwargs["max_gen_toks"])
        room = self.max_length - budget
        if room <= 0:
            raise UsageError(f"max_gen_toks is {budget}, and the model takes {self.max_length} tokens in all; give a smaller max_gen_toks")
        return Continuation(self.tok_encode(context)[-room:], budget, tuple(stop for stop in kwargs.get("until", []) if stop))

    def _decode(self, ids: list[int]) -> str:
        return str(self.side.tokenizer.runtime.decode(ids, skip_special_tokens=True))

    def _stop_ids(self) -> list[int]:
        """EOS of the tokenizer, and those at which transformers' `generate` would stop."""
        return [self.eot_token_id, *self.side.generation_stops]


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
