"""An OpenAI-compatible server on loopback over a real small model and its real tokenizer, which misbehaves as told (`judge_server`)."""

from __future__ import annotations

import json
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from jp_adapt.inference.text_side import text_side
from tests.judge_server import JudgeServer, _Handler, served


class CompletionServer(JudgeServer):
    """`kind`: "vllm" knows `prompt_logprobs`; "openai" refuses it and echoes; "deaf" gives no log-probabilities of a prompt,
    "mute" no counts of tokens either. `bos`: put before a text."""

    def __init__(self, folder: Path, script: list[str] | None = None, *, kind: str = "vllm", bos: bool = True) -> None:
        super().__init__(script)
        self.RequestHandlerClass = _CompletionHandler
        self.model, self.tokenizer = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.folder, self.kind, self.bos = folder, kind, [0] if bos else []
        self.computing = threading.Lock()


def completion_server(folder: Path, script: list[str] | None = None, **options: Any) -> AbstractContextManager[CompletionServer]:
    return served(CompletionServer(folder, script, **options))


class _CompletionHandler(_Handler):
    server: CompletionServer  # type: ignore[assignment]

    def _ok(self, body: dict[str, Any]) -> None:
        self._send(*self._answer(body))

    def _half(self, body: dict[str, Any]) -> None:
        data = json.dumps(self._answer(body)[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True

    def _answer(self, body: dict[str, Any]) -> tuple[int, Any]:
        server = self.server
        if "prompt_logprobs" in body and server.kind == "openai":
            return 400, {"error": {"message": "Unrecognized request argument supplied: prompt_logprobs"}}
        with server.computing, torch.inference_mode():
            if self.path.endswith("/chat/completions"):
                said = [message["content"] for message in body["messages"]]
                ids = server.tokenizer.encode(text_side(server.folder).chat.render(list(zip(said[::2], said[1::2])), said[-1])).ids  # noqa: B905
                return 200, {"choices": [{"message": {"role": "assistant", "content": self._generated(ids, body)[1]}, "finish_reason": "stop"}]}
            prompt = body["prompt"]
            ids = prompt if isinstance(prompt, list) else [*server.bos, *server.tokenizer.encode(prompt).ids]
            new, text = self._generated(ids, body)
            choice: dict[str, Any] = {"text": text, "finish_reason": "length", "logprobs": None}
            if body.get("echo") and server.kind not in ("deaf", "mute"):
                choice |= self._echo(ids, new, body)
        if server.kind == "mute":
            return 200, {"choices": [choice]}
        return 200, {"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": len(new)}}

    def _generated(self, ids: list[int], body: dict[str, Any]) -> tuple[list[int], str]:
        out = self.server.model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=body["max_tokens"], do_sample=False, eos_token_id=0, pad_token_id=0
        )
        new = out[0, len(ids) :].tolist()
        text = self.server.tokenizer.decode(new[: new.index(0)] if 0 in new else new)
        for stop in body.get("stop", []):
            text = text.partition(stop)[0]
        return new, text

    def _echo(self, ids: list[int], new: list[int], body: dict[str, Any]) -> dict[str, Any]:
        every = [*ids, *new]
        logs = self.server.model(torch.tensor([every])).logits[0].double().log_softmax(-1)
        nats = [None, *(float(logs[at - 1, token]) for at, token in enumerate(every) if at)]
        texts = [self.server.tokenizer.decode([token], skip_special_tokens=False) for token in every]
        choice: dict[str, Any] = {"logprobs": {"tokens": texts, "token_logprobs": nats, "text_offset": [0] * len(every)}}
        choice["text"] = self.server.tokenizer.decode(every, skip_special_tokens=False)
        if "prompt_logprobs" in body:
            choice["prompt_logprobs"] = [None, *({str(ids[at]): {"logprob": nats[at], "decoded_token": texts[at]}} for at in range(1, len(ids)))]
        return choice
