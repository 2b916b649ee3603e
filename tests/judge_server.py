"""A chat endpoint on loopback that misbehaves as told, and small benchmarks to be judged there."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

Server = TypeVar("Server", bound=ThreadingHTTPServer)
SLOW_S = 1.5  # longer than the timeout that the tests give the client


class JudgeServer(ThreadingHTTPServer):
    """Each request takes the next behaviour of `script`, or "ok" when it is used up. What was answered well is counted by the hash of the request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: list[str] | None = None, *, key: str = "", pause_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.key, self.pause_s = list(script or []), key, pause_s
        self.lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.behaviours: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.retries_after: list[float] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next(self, body: dict[str, Any]) -> str:
        with self.lock:
            self.bodies.append(body)
            behaviour = self.script.pop(0) if self.script else "ok"
            self.behaviours[behaviour] += 1
            return behaviour

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is part of the test."""


@contextmanager
def served(server: Server) -> Iterator[Server]:
    """The server, answering from a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def judge_server(script: list[str] | None = None, **options: Any) -> AbstractContextManager[JudgeServer]:
    return served(JudgeServer(script, **options))


def grade_of(prompt: str) -> int:
    """The same grade for the same prompt, from 1 to 5."""
    return hashlib.sha256(prompt.encode()).digest()[0] % 5 + 1


def verdict_of(body: dict[str, Any]) -> str:
    """What a good judge says, in the form that the prompt asks for."""
    prompt = next(message["content"] for message in body["messages"] if message["role"] == "user")
    grade = grade_of(prompt)
    if "評価フォーマット" in prompt:
        return json.dumps({"reason": "理由", "grade": grade}, ensure_ascii=False)
    if "[End of Assistant 2]" in prompt:
        return f"{10 - grade} {grade + 3}\n1 is shorter than 2."
    if '"gpt4o_answer"' in prompt:
        return f'```json\n{{\n    "score_gpt": {10 - grade},\n    "score": {grade + 3}\n}}\n```'
    if prompt.endswith("Your Score:\n"):
        return str(grade)
    if "アシスタント1の回答の開始" in prompt:
        return f"比べました。\n{grade % 3 + 1}"
    return f"説明。\n\n評価：[[{2 * grade}]]"


class _Handler(BaseHTTPRequestHandler):
    server: JudgeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Silence."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            self._send(401, {"error": f"wrong key {self.headers.get('Authorization')}"})
            return
        time.sleep(self.server.pause_s)
        self.server.headers.append(dict(self.headers))
        getattr(self, "_" + self.server.next(body).replace("-", "_"))(body)

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def _chat(self, text: Any, body: dict[str, Any]) -> dict[str, Any]:
        usage = {"prompt_tokens": len(body["messages"][-1]["content"]), "completion_tokens": 7}
        return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": usage}

    def _ok(self, body: dict[str, Any]) -> None:
        self._send(200, self._chat(verdict_of(body), body))
        with self.server.lock:
            self.server.answered[hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()] += 1

    def _no_usage(self, body: dict[str, Any]) -> None:
        self._send(200, {"choices": [{"message": {"content": verdict_of(body)}}]})

    def _unreadable(self, body: dict[str, Any]) -> None:
        self._send(200, self._chat("とても良い回答です。", body))

    def _429(self, body: dict[str, Any]) -> None:
        self._send(429, {"error": "slow down"}, {"Retry-After": "2"})

    def _429_date(self, body: dict[str, Any]) -> None:
        self._send(429, b"", {"Retry-After": formatdate(time.time() + 30, usegmt=True)})

    def _500(self, body: dict[str, Any]) -> None:
        self._send(500, b"<html>oops</html>")

    def _503_nonsense(self, body: dict[str, Any]) -> None:
        self._send(503, b"\xff\xfe", {"Retry-After": "soon"})

    def _400(self, body: dict[str, Any]) -> None:
        self._send(400, {"error": "content filter"})

    def _404(self, body: dict[str, Any]) -> None:
        self._send(404, {"error": f"no model {body['model']}"})

    def _timeout(self, body: dict[str, Any]) -> None:
        time.sleep(SLOW_S)
        self.close_connection = True

    def _drip(self, body: dict[str, Any]) -> None:
        """A byte now and then: no single read times out, and the answer never ends."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for _ in range(40):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.05)
        self.close_connection = True

    def _drip_headers(self, body: dict[str, Any]) -> None:
        """A header now and then, and never the last."""
        self._now_and_then(b"HTTP/1.1 200 OK\r\n", b"X-Wait: 1\r\n")

    def _continue(self, body: dict[str, Any]) -> None:
        """An interim answer now and then, and never the final one."""
        self._now_and_then(b"", b"HTTP/1.1 100 Continue\r\n\r\n")

    def _now_and_then(self, first: bytes, then: bytes) -> None:
        self.wfile.write(first)
        for _ in range(40):
            self.wfile.write(then)
            self.wfile.flush()
            time.sleep(0.05)
        self.close_connection = True

    def _packed(self, body: dict[str, Any]) -> None:
        self._send(200, gzip.compress(json.dumps(self._chat(verdict_of(body), body)).encode()), {"Content-Encoding": "gzip"})

    def _endless(self, body: dict[str, Any]) -> None:
        """A body without a length, larger than the bound that the test sets."""
        self.send_response(200)
        self.end_headers()
        for _ in range(64):
            self.wfile.write(b" " * 1024)
        self.close_connection = True

    def _repeats_the_key(self, body: dict[str, Any]) -> None:
        verdict = json.loads(verdict_of(body))
        said = json.dumps(verdict | {"reason": f"鍵は{self.headers.get('Authorization')}"}, ensure_ascii=False)
        self._send(200, self._chat(said, body) | {"id": self.headers.get("Authorization")})

    def _odd_finish(self, body: dict[str, Any]) -> None:
        """Half a surrogate pair where the reason of the end is told."""
        reply = self._chat(verdict_of(body), body) | {"choices": [{"message": {"content": verdict_of(body)}, "finish_reason": "\ud800"}]}
        self._send(200, json.dumps(reply).encode())

    def _odd_counts(self, body: dict[str, Any]) -> None:
        self._send(200, self._chat(verdict_of(body), body) | {"usage": {"prompt_tokens": 10**200, "completion_tokens": 2**53}})

    def _longest_count(self, body: dict[str, Any]) -> None:
        """A number that JSON may hold and nothing reads."""
        self._send(200, json.dumps(self._chat(verdict_of(body), body)).replace('"completion_tokens": 7', f'"completion_tokens": {"9" * 400}').encode())

    def _digits(self, body: dict[str, Any]) -> None:
        """A judge that fell into a loop of digits."""
        self._send(200, self._chat('{"grade": ' + "4" * 4301 + "}", body))

    def _nested(self, body: dict[str, Any]) -> None:
        self._send(200, self._chat('{"grade": ' + "[" * 3000, body))

    def _thought(self, body: dict[str, Any]) -> None:
        self._send(200, self._chat(f"<think>\n1か。\n</think>\n\n{verdict_of(body)}", body))

    def _cut_in_thought(self, body: dict[str, Any]) -> None:
        """What OpenAI's and vLLM's reasoning models give where max_tokens ends within the thought."""
        message = {"role": "assistant", "content": None, "reasoning_content": "1か。"}
        self._send(200, {"choices": [{"message": message, "finish_reason": "length"}], "usage": {"prompt_tokens": 9, "completion_tokens": 5}})

    def _reasoned(self, body: dict[str, Any]) -> None:
        """A model whose thought takes 2,048 tokens, as vLLM 0.12 and later tell it."""
        cut = body["max_tokens"] <= 2048
        message = {"role": "assistant", "content": None if cut else "答え：A", "reasoning": "考えます。"}
        self._send(200, {"choices": [{"message": message, "finish_reason": "length" if cut else "stop"}]})

    def _cut_before_a_word(self, body: dict[str, Any]) -> None:
        """The same of a server that keeps thoughts to itself, as OpenAI's does."""
        self._send(200, {"choices": [{"message": {"role": "assistant", "content": None}, "finish_reason": "length"}]})

    def _refuses_to_say(self, body: dict[str, Any]) -> None:
        message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
        self._send(200, {"choices": [{"message": message, "finish_reason": "stop"}]})

    def _parts(self, body: dict[str, Any]) -> None:
        """Mistral's reasoning models answer in parts."""
        parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "1か。"}]}, {"type": "text", "text": verdict_of(body)}]
        self._send(200, self._chat(parts, body))

    def _wants_max_completion_tokens(self, body: dict[str, Any]) -> None:
        if "max_tokens" in body:
            said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            self._send(400, {"error": {"message": said, "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter"}})
        else:
            self._ok(body)

    def _own_temperature(self, body: dict[str, Any]) -> None:
        self._send(400, {"error": {"message": "Unsupported value: 'temperature' does not support 0 with this model.", "param": "temperature"}})

    def _malformed(self, body: dict[str, Any]) -> None:
        self._send(200, b'{"choices": [{"message": {"content": "{\\"grade\\": 5')

    def _error_with_200(self, body: dict[str, Any]) -> None:
        self._send(200, {"error": {"message": "overloaded"}})

    def _null(self, body: dict[str, Any]) -> None:
        self._send(200, self._chat(None, body))

    def _half(self, body: dict[str, Any]) -> None:
        """Half the body that the header announces, and the connection closes."""
        data = json.dumps(self._chat(verdict_of(body), body)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True

    def _chunks(self, body: dict[str, Any]) -> None:
        """A chunked body that never gets its last chunk, though what came is a whole JSON text."""
        data = json.dumps(self._chat(verdict_of(body), body)).encode()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.close_connection = True

    def _hang_up(self, body: dict[str, Any]) -> None:
        self.close_connection = True

    def _garbage(self, body: dict[str, Any]) -> None:
        self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        self.close_connection = True

    def _bad_gzip(self, body: dict[str, Any]) -> None:
        self._send(200, b"not gzip at all", {"Content-Encoding": "gzip"})


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def small_data(root: Path, items: int = 12) -> Path:
    """Four benchmarks in their upstream layouts, a few items each."""
    elyza = [{"input_text": f"問題{n}", "output_text": f"正解{n}", "eval_aspect": f"- 基準{n}"} for n in range(items)]
    write_lines(root / "elyza_tasks_100/assets/elyza_tasks_100/dataset.jsonl", elyza)
    bench = root / "japanese_mt_bench/fastchat/llm_judge/data/japanese_mt_bench"
    kinds = ("writing", "math", "stem")
    write_lines(bench / "question_full.jsonl", [{"question_id": n, "category": kinds[n % 3], "turns": [f"質問{n}", f"続き{n}"]} for n in range(items)])
    write_lines(bench / "reference_answer/gpt-4.jsonl", [fastchat("gpt-4", n, f"参考{n}", f"参考続き{n}") for n in range(items)])
    write_lines(
        root / "rakuda/jrank/data/rakuda_v2/questions.jsonl", [{"question_id": f"q{n}", "category": "地理", "turns": [f"設問{n}"]} for n in range(items)]
    )
    seen = ("conv", "detail", "complex")
    heron = [{"question_id": n, "image": "1.jpg", "category": seen[n % 3], "context": f"様子{n}", "text": f"何{n}？"} for n in range(items)]
    write_lines(root / "heron_bench/questions_ja.jsonl", heron)
    write_lines(root / "heron_bench/answers_gpt4.jsonl", [llava("gpt-4", n, f"参考{n}") for n in range(items)])
    return root


def fastchat(model: str, id: int | str, *turns: str) -> dict[str, Any]:
    return {"question_id": id, "model_id": model, "choices": [{"index": 0, "turns": list(turns)}]}


def llava(model: str, id: int, text: str) -> dict[str, Any]:
    return {"question_id": id, "model_id": model, "text": text}


def predictions(path: Path, items: int = 12, mark: str = "") -> Path:
    """Answers to the small ELYZA-tasks."""
    return write_lines(path, [{"pred": f"回答{mark}{n}"} for n in range(items)])
