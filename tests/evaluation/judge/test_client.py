"""The client against a real server that misbehaves in every way we could think of."""

from __future__ import annotations

import time

import pytest

from jp_adapt.core.errors import UsageError
from jp_adapt.evaluation.judge.client import HttpJudge
from jp_adapt.evaluation.judge.local import LocalJudge
from jp_adapt.inference import exchange
from jp_adapt.inference.backend import Ask, Written
from jp_adapt.inference.endpoint import Completion, EndpointError, RefusedError, RequestError
from tests.judge_server import JudgeServer, grade_of, judge_server

BODY = {"messages": [{"role": "user", "content": "# 評価フォーマット"}], "temperature": 0.0, "max_tokens": 8}
GOOD = Completion(f'{{"reason": "理由", "grade": {grade_of("# 評価フォーマット")}}}', 10, 7, "stop")
TRANSIENT = [
    "429",
    "429-date",
    "500",
    "503-nonsense",
    "timeout",
    "drip",
    "malformed",
    "error-with-200",
    "null",
    "half",
    "chunks",
    "hang-up",
    "garbage",
    "bad-gzip",
    "packed",
    "drip-headers",
    "continue",
    "longest-count",
]


class Waits(list[float]):
    """Stands in the place of the event that ends waits: it takes no time, and remembers how long each would have been."""

    def wait(self, seconds: float) -> bool:
        self.append(seconds)
        return False


def ask(server: JudgeServer, waits: Waits | None = None, **options: object) -> Completion:
    with HttpJudge(server.url, "judge-1", timeout_s=0.6, stopped=Waits() if waits is None else waits, **options) as judge:
        return judge.complete(BODY)


@pytest.mark.parametrize("trouble", TRANSIENT)
def test_a_passing_trouble_is_tried_again(trouble: str) -> None:
    waits = Waits()
    with judge_server([trouble, trouble]) as server:
        assert ask(server, waits) == GOOD
    assert len(server.bodies) == 3
    assert all(body == {"model": "judge-1", **BODY} for body in server.bodies)
    assert len(waits) == 2


def test_the_server_says_how_long_to_wait() -> None:
    waits = Waits()
    with judge_server(["429", "429-date", "500", "500", "500"]) as server:
        ask(server, waits)
    assert waits[0] == 2.0  # Retry-After: 2 is longer than the first wait of its own
    assert 28 < waits[1] <= 30.5
    assert 3 <= waits[2] <= 5  # 4 s, with a random part
    assert 6 <= waits[3] <= 10
    assert 12 <= waits[4] <= 20


def test_it_gives_up_after_so_many_tries() -> None:
    with judge_server(["500"] * 9) as server:
        with pytest.raises(RequestError, match=r"HTTP 500 \(<html>oops</html>\), 4 times; what came is kept"):
            ask(server, tries=4)
        assert len(server.bodies) == 4


def test_a_refused_request_is_not_repeated() -> None:
    with judge_server(["400"]) as server:
        with pytest.raises(RequestError, match=r"HTTP 400 \(\{\"error\": \"content filter\"\}\)"):
            ask(server)
        assert len(server.bodies) == 1


def test_a_wrong_model_ends_everything() -> None:
    with judge_server(["404"]) as server, pytest.raises(EndpointError, match=r"no model judge-1.*check the address, the name of the model"):
        ask(server)


def test_where_nobody_has_answered_yet_a_refused_connection_ends_everything_at_once() -> None:
    waits = Waits()
    with judge_server(["ok", "hang-up"]) as server:
        url = server.url
        with HttpJudge(url, "m", tries=3, stopped=waits) as judge:
            judge.complete(BODY)
            server.shutdown()
            server.server_close()
            with pytest.raises(RequestError, match=r"Connect.*, 3 times; what came is kept"):
                judge.complete(BODY)
    assert len(waits) == 2, "a server that has answered may come back"
    for address, why in ((url, "nobody answers .*Connection refused.*check the address, and that the server runs"), ("http://no.invalid/v1", "nobody answers")):
        with pytest.raises(EndpointError, match=why), HttpJudge(address, "m", stopped=waits) as judge:
            judge.complete(BODY)
    assert len(waits) == 2


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret-key-value")
    with judge_server(["500"], key="s3cret-key-value") as server:
        assert ask(server, key_variable="MY_KEY") == GOOD
    with judge_server(["repeats-the-key"], key="s3cret-key-value") as server:
        assert ask(server, key_variable="MY_KEY").text == GOOD.text.replace("理由", "鍵はBearer ***")
    with judge_server(key="another") as server, pytest.raises(EndpointError, match=r"HTTP 401 .*Bearer \*\*\*") as caught:
        ask(server, key_variable="MY_KEY")  # the server repeats the key in its answer
    assert "s3cret" not in str(caught.value) + "".join(capsys.readouterr())
    with HttpJudge(server.url, "m", key_variable="MY_KEY") as judge:
        assert "s3cret" not in str(judge.identity)


def test_a_key_that_is_not_there_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(UsageError, match="environment variable MY_KEY is not set"):
        HttpJudge("http://localhost/v1", "m", key_variable="MY_KEY")
    with pytest.raises(UsageError, match="'localhost:8000' is not an address"):
        HttpJudge("localhost:8000", "m")
    for address in ("https://me:pass@localhost/v1", "https://localhost/v1?key=abc", "https://localhost/v1#abc"):
        with pytest.raises(UsageError, match="holds no password and no key") as caught:
            HttpJudge(address, "m")
        assert "pass@" not in str(caught.value)
        assert "abc" not in str(caught.value)


@pytest.mark.parametrize(("reply", "told"), [("no-usage", (None, None, None)), ("odd-counts", (None, None, "stop")), ("odd-finish", (10, 7, "\ufffd"))])
def test_tokens_that_the_server_does_not_count_are_unknown(reply: str, told: tuple[int | None, int | None, str | None]) -> None:
    """What cannot be a count is none: multiplied by a price it would end every later run. Half a surrogate pair could not be stored."""
    with judge_server([reply]) as server:
        assert ask(server) == Completion(GOOD.text, *told)


@pytest.mark.parametrize("trouble", ["drip", "drip-headers", "continue", "timeout"])
def test_one_deadline_holds_for_the_whole_exchange(trouble: str) -> None:
    with judge_server([trouble]) as server:
        started = time.monotonic()
        with pytest.raises(RequestError, match=r"no whole answer within 0\.6 s|ReadTimeout"):
            ask(server, tries=1)
        assert 0.5 < time.monotonic() - started < 1.5


def test_a_reply_without_an_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_REPLY_BYTES", 20_000)
    with judge_server(["endless"]) as server, pytest.raises(RequestError, match=r"a reply of more than .* bytes"):
        ask(server)
    assert len(server.bodies) == 1


def test_replies_are_asked_for_unpacked() -> None:
    with judge_server(["packed"]) as server:
        with pytest.raises(RequestError, match=r"the body is packed \(gzip\), which was not asked for, 1 times"):
            ask(server, tries=1)
        assert server.headers[0]["Accept-Encoding"] == "identity"


def test_a_model_that_wants_another_name_for_its_budget_gets_it() -> None:
    with judge_server(["wants-max-completion-tokens"] * 3) as server:
        with HttpJudge(server.url, "judge-1") as judge:
            assert [judge.complete(BODY), judge.complete(BODY)] == [GOOD, GOOD]
        assert [{"max_tokens", "max_completion_tokens"} & set(body) for body in server.bodies] == [{"max_tokens"}, *[{"max_completion_tokens"}] * 2]
        assert server.bodies[1]["max_completion_tokens"] == BODY["max_tokens"]


def test_a_refusal_says_what_helps() -> None:
    with judge_server(["own-temperature"]) as server, pytest.raises(RefusedError, match=r"'temperature' does not support 0.*: --temperature 1"):
        ask(server)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("cut-in-thought", Completion("", 9, 5, "length", "1か。")),
        ("cut-before-a-word", Completion("", None, None, "length")),
        ("refuses-to-say", Completion("", None, None, "stop")),
        ("parts", Completion(GOOD.text, 10, 7, "stop", "1か。")),
    ],
)
def test_an_answer_without_a_visible_word_is_an_empty_answer(reply: str, told: Completion) -> None:
    with judge_server([reply]) as server:
        assert ask(server) == told
        assert len(server.bodies) == 1


@pytest.mark.parametrize("address", ["http://[::1/v1", "http://.../v1", f"http://{'a' * 300}.jp/v1", "http://:80/v1", "http://localhost:99999/v1"])
def test_an_address_without_a_host_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError, match="no host can be read from it; it looks like https://HOST/v1"):
        HttpJudge(address, "m")


def test_a_key_that_no_header_can_carry_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-geheim\nX-Other: 1")
    with pytest.raises(UsageError, match="MY_KEY holds characters that no API key has") as caught:
        HttpJudge("http://localhost/v1", "m", key_variable="MY_KEY")
    assert "geheim" not in str(caught.value)


class Echo:
    """A backend that writes one text, and cuts prompts that are longer than it can read."""

    def __init__(self, text: str, longest: int = 100) -> None:
        self.text, self.longest, self.asked, self.turns = text, longest, [], []

    def write(self, asks, advance):
        self.asked += asks
        return [Written(self.text, max(0, len(ask.text) - self.longest)) for ask in asks]

    def encode(self, text):
        return [ord(char) for char in text]

    def chat(self, turns, user):
        self.turns.append(list(turns))
        return f"<user>{user}<assistant>"


def test_a_local_model_answers_through_its_backend() -> None:
    backend = Echo("[[7]]")
    judge = LocalJudge(backend, {"model": "m"})
    body = {"messages": [{"role": "system", "content": "あなたは審判です。\n\n"}, {"role": "user", "content": "質問"}], "temperature": 0.0, "max_tokens": 9}
    assert judge.complete(body) == Completion("[[7]]", len("<user>あなたは審判です。\n\n質問<assistant>"), 5, None)
    assert backend.asked == [Ask("<user>あなたは審判です。\n\n質問<assistant>", (), None, 9, start="nothing")]
    again = body | {"messages": [*body["messages"], {"role": "assistant", "content": "7点"}, {"role": "user", "content": "形は？"}], "max_tokens": 5}
    assert judge.complete(again).finish_reason == "length", "as many tokens as it may have"
    assert backend.turns == [[], [("あなたは審判です。\n\n質問", "7点")]]
    with pytest.raises(RefusedError, match="m: the prompt is 10 tokens longer than the model's context allows"):
        LocalJudge(Echo("x", longest=20), {"model": "m"}).complete(body)
