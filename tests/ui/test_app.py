"""What the local page answers: what is in the folder, as far as it can be read, and nothing else."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.core.lock import folder_lock
from jp_adapt.inference.speaker import EndpointSpeaker
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from jp_adapt.ui.live import Statuses, follow
from tests.chat_server import chat_server, said
from tests.export.models import TEMPLATE
from tests.ui.pages import ADDRESS, TOKEN, Client, add_steps, write_board, write_corpus, write_evaluation, write_training_run

RIGHT = [n % 3 > 0 for n in range(80)]
BETTER = [n % 5 > 0 for n in range(80)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_training_run(tmp_path / "a")
    write_training_run(tmp_path / "b", steps=4, lr=2e-4)
    write_evaluation(tmp_path / "eval" / "base", RIGHT)
    write_evaluation(tmp_path / "eval" / "adapted", BETTER)
    return tmp_path


def test_the_table_names_everything(folder: Path) -> None:
    given = Client(folder).get("entries")
    assert {entry["path"]: (entry["kind"], entry["state"]) for entry in given["entries"]} == {
        "a": ("run", "done"),
        "b": ("run", "stopped"),
        "eval/base": ("evaluation", "done"),
        "eval/adapted": ("evaluation", "done"),
    }
    assert given["folder"] == folder.name


def test_a_run_with_its_settings_and_samples(folder: Path) -> None:
    run = Client(folder).get("run", p="b")
    assert run["stages"][0]["step"] == 4
    assert run["state"] == "stopped"
    assert {"key": "stages.cpt.optimizer.lr", "value": 2e-4} in run["settings"]
    assert run["samples"] == [{"stage": "cpt", "step": 0, "prompt": "今日は", "text": "雨です。"}]
    assert run["command"] == ["jp-adapt", "run", "mine.yaml"]
    assert run["problems"] == []


def test_runs_compared(folder: Path) -> None:
    both = Client(folder).get("runs", p=["a", "b"])
    assert both["names"] == ["a", "b"]
    assert both["curves"][1]["cpt"]["step"] == [0, 1, 2, 3, 4]
    assert both["settings"] == [{"key": "stages.cpt.optimizer.lr", "values": [1e-4, 2e-4]}]


def test_scores_and_tests_are_those_of_eval_compare(folder: Path) -> None:
    import jp_adapt

    client = Client(folder)
    scores = client.get("scores", e=["eval/base", "eval/adapted"])
    assert scores["names"] == ["base", "adapted"]
    assert [row["id"] for row in scores["rows"]] == ["ja/pick", "ja/free"]
    assert scores["texts"] == [{"id": "ja", "values": [5.0, 5.0]}]
    tests = client.get("tests", e=["eval/base", "eval/adapted"])
    expected = jp_adapt.compare_scores(folder / "eval" / "base", folder / "eval" / "adapted")
    assert [entry["verdict"] for entry in tests["pairs"][0]["benchmarks"]] == [entry.verdict for entry in expected.pairs[0].benchmarks]
    assert client.get("tests", status=404, e=["eval/base"])["error"].startswith("nothing to compare with")


def test_a_corpus_says_what_each_step_dropped(folder: Path) -> None:
    write_corpus(folder / "corpus")
    corpus = Client(folder).get("corpus", p="corpus")
    assert corpus["sources"][0]["chars_per_token"] == 1.5
    assert corpus["sources"][0]["first_unread"] == ["ja.jsonl:3"]
    sample = {"source": "ja", "reason": "short", "place": "ja.jsonl:1", "text": "短い"}
    pair = {
        "source": "ja",
        "place": "ja.jsonl:4",
        "text": [["今日は", True], ["雨", False]],
        "kept_place": "ja.jsonl:2",
        "kept": [["今日は", True], ["雪", False]],
    }
    assert corpus["sources"][0]["scripts"] == {"kana marks": 4}
    assert corpus["steps"] == [{"name": "length", "documents": 5, "changed": 1, "dropped": {"short": 3}, "samples": [sample], "pairs": [pair]}]


def test_items_side_by_side(folder: Path) -> None:
    client, both = Client(folder), {"e": ["eval/base", "eval/adapted"]}
    index = client.get("items", **both)
    assert index["count"] == 80
    order = dict(enumerate(int(row["id"][1:]) for row in client.get("item-rows", i=",".join(map(str, range(80))), **both)))
    assert index["marks"][0] == "".join("+" if RIGHT[order[at]] else "x" for at in range(80))
    assert index["marks"][1] == "".join("+" if BETTER[order[at]] else "x" for at in range(80))
    at = next(at for at, n in order.items() if n == 4)
    assert index["flags"][at] == 1
    [row] = client.get("item-rows", i=at, **both)
    assert row["question"] == "質問：日本の4番目に高い山は？"
    assert row["answers"] == ["富士山" if RIGHT[4] else "北岳", "富士山" if BETTER[4] else "北岳"]
    item = client.get("item", i=at, **both)
    assert item["prompt"] == "質問：日本の4番目に高い山は？\n回答："
    assert item["shared"].startswith("次の質問に答えてください。\n")
    assert item["answers"][0]["nats"] == [-2.0, -1.0]
    assert item["choices"] == ["北岳", "富士山"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("79番目", {79}), ("katakana", {n for n in range(1, 80, 2) if not RIGHT[n]}), ("ｑ12", {12}), ("次の質問", set()), ("北岳", set(range(0, 80, 2)))],
)
def test_a_search_goes_through_every_text_but_the_shared_beginning(folder: Path, text: str, found: set[int]) -> None:
    client = Client(folder)
    rows = client.get("item-rows", i=",".join(map(str, range(80))), e="eval/base")
    assert {int(rows[at]["id"][1:]) for at in client.get("item-search", q=text, e="eval/base")} == found


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("run", {"p": "../a"}, "'../a' is no run of this folder"),
        ("run", {"p": "/etc"}, "'/etc' is no run of this folder"),
        ("run", {"p": "a/../b"}, "is no run of this folder"),
        ("run", {"p": "eval/base"}, "is no run of this folder"),
        ("run", {}, "the query lacks 'p'"),
        ("items", {"e": "a"}, "'a' is no evaluation or judgement of this folder"),
        ("items", {}, "0 are chosen, and 1 to 4 are shown together"),
        ("item", {"e": "eval/base", "i": "80"}, "item 80 is not in the table"),
        ("item", {"e": "eval/base", "i": "-1"}, "'-1' is no list of up to 200 numbers"),
        ("item-rows", {"e": "eval/base", "i": "1,x"}, "is no list of up to 200 numbers"),
    ],
)
def test_what_is_not_there_is_told(folder: Path, name: str, query: dict[str, str], said: str) -> None:
    status = 400 if "query lacks" in said or "are chosen" in said or "no list" in said else 404
    assert said in Client(folder).get(name, status=status, **query)["error"]


def test_nothing_outside_of_the_folder_is_read(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    write_training_run(outside / "secret")
    (folder / "linked").symlink_to(outside / "secret", target_is_directory=True)
    write_evaluation(folder / "swapped", RIGHT)
    (folder / "swapped" / "outputs.jsonl").unlink()
    (folder / "swapped" / "outputs.jsonl").symlink_to(outside / "secret" / "run.json")
    client = Client(folder)
    states = {entry["path"]: (entry["kind"], entry["headline"]) for entry in client.get("entries")["entries"]}
    assert "linked" not in states
    assert states["swapped"][0] == "unreadable"
    assert "is a link that leads out of the folder" in states["swapped"][1]
    client.get("items", status=404, e="swapped")
    for path in ("../run.json", "%2e%2e/app.py", "vendor/../../app.py", "..%2F..%2Freport/report.css", "%2Fetc/passwd", "app.py", "vendor"):
        assert client.http.get(f"/{TOKEN}/{path}").status_code == 404


def test_strangers_are_refused(folder: Path) -> None:
    http = Client(folder).http
    page = f"{ADDRESS}/{TOKEN}/api/entries"
    assert http.get(page).status_code == 200
    assert http.get(f"{ADDRESS}/wrong/api/entries").status_code == 404
    assert http.get(f"{ADDRESS}/").status_code == 404
    for headers in (
        {"host": "evil.example:8000"},
        {"host": "127.0.0.1:9000"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ):
        answer = http.get(page, headers=headers)
        assert (answer.status_code, answer.text[:8]) == (403, "refused:"), headers
    assert http.get(page, headers={"host": "localhost:8000", "origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}).status_code == 200
    assert http.post(page).status_code == 405


def test_every_answer_has_the_policy(folder: Path) -> None:
    client = Client(folder)
    for path in ("", "app.js", "app.css", "api/entries", "api/run?p=nothing"):
        headers = client.http.get(f"/{TOKEN}/{path}").headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
        assert (headers["x-content-type-options"], headers["referrer-policy"], headers["x-frame-options"]) == ("nosniff", "no-referrer", "DENY")
    assert client.http.get(f"{ADDRESS}/wrong/").headers["content-security-policy"].startswith("default-src 'none'")


BROKEN = {
    "run.json": "{",
    "resolved.yaml": "a: [",
    "stages/cpt/metrics.jsonl": '\0\0\n[]\n{"step": "1"}\n',
    "stages/cpt/samples.jsonl": "[1]\n",
    "stages/cpt/stage.json": "[]",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_document_of_a_run_is_told_and_the_others_are_shown(folder: Path, name: str) -> None:
    (folder / "a" / name).write_text(BROKEN[name], encoding="utf-8")
    client = Client(folder)
    by_path = {entry["path"]: entry for entry in client.get("entries")["entries"]}
    assert {"b", "eval/base"} <= by_path.keys()
    if by_path["a"]["kind"] == "run":
        assert client.get("run", p="a")["problems"][0].startswith(name)
    else:
        assert by_path["a"]["headline"].startswith(name)
        assert str(folder) not in by_path["a"]["headline"]


def test_half_written_outputs_are_shown_as_far_as_they_go(folder: Path) -> None:
    path = folder / "eval" / "base" / "outputs.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:10], b"\0\0\n", b"[]\n", *lines[10:20], lines[20][:30]]))
    index = Client(folder).get("items", e="eval/base")
    assert (index["count"], index["broken"]) == (20, 3)
    path.write_bytes(b"")
    assert Client(folder).get("items", e="eval/base")["count"] == 0


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>\u202e\0" + "あ" * 1_000_000
    write_training_run(tmp_path / "x", name=evil[:50])
    write_evaluation(tmp_path / "e", RIGHT, model=evil)
    output = json.loads((tmp_path / "e" / "outputs.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (tmp_path / "e" / "outputs.jsonl").write_text(json.dumps(output | {"prompt": evil, "item": "\ud83d"}) + "\n", encoding="utf-8")
    client = Client(tmp_path)
    for name, query in (("entries", {}), ("run", {"p": "x"}), ("items", {"e": "e"}), ("item-rows", {"e": "e", "i": 0}), ("item", {"e": "e", "i": 0})):
        answer = client.http.get(f"/{TOKEN}/api/{name}", params=query)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.content.isascii()
    assert client.get("item", e="e", i=0)["id"] == "\ufffd"


def events(path: Path, looks: int, between: dict[int, Any]) -> list[Any]:
    """The events of `looks` looks at a run; `between` says what happens before which."""

    async def gather(stream: AsyncIterator[str]) -> list[Any]:
        return [json.loads(event.removeprefix("data: ")) async for event in stream if event.startswith("data: ")]

    async def sleep(seconds: float) -> None:
        nonlocal looked
        looked += 1
        between.get(looked, lambda: None)()

    looked = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jp_adapt.ui.live.asyncio.sleep", sleep)
        return asyncio.run(gather(follow(path, Statuses(), lambda: looked >= looks)))


def test_a_run_that_trains_is_followed_through_a_kill_and_a_resume(tmp_path: Path) -> None:
    run = write_training_run(tmp_path / "r", steps=3)
    stage = run / "stages" / "cpt"

    def resumed() -> None:
        kept = (stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:3]
        (stage / "new").write_text("".join(kept), encoding="utf-8")
        (stage / "new").replace(stage / "metrics.jsonl")

    def resumed_and_gone_on() -> None:
        resumed()
        add_steps(stage, 3, 12, 20)

    def half() -> None:
        with (stage / "metrics.jsonl").open("a") as file:
            file.write('{"step": 13, "loss_nats_per')

    def whole() -> None:
        with (stage / "metrics.jsonl").open("a") as file:
            file.write('_token": NaN}\n')

    with folder_lock(run):
        given = events(run, 8, {1: lambda: add_steps(stage, 4, 5, 10), 2: resumed, 3: resumed_and_gone_on, 4: half, 5: whole})
    steps = [(event["metrics"]["cpt"]["reset"], event["metrics"]["cpt"]["columns"]["step"]) for event in given if event["metrics"]]
    assert steps == [(True, [0, 1, 2, 3]), (False, [4, 5]), (True, [0, 1, 2]), (True, [*range(13)]), (False, [13])]
    assert given[-1]["metrics"]["cpt"]["columns"]["loss_nats_per_token"] == [None]
    assert given[0]["stages"][0]["state"] == "running"
    assert given[1]["stages"][0]["step"] == 5


def test_a_run_that_vanishes_ends_its_stream_with_a_word(tmp_path: Path) -> None:
    run = write_training_run(tmp_path / "r", steps=3)
    given = events(run, 5, {1: lambda: shutil.rmtree(run)})
    assert "no run folder" in given[-1]["error"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, pico: Path) -> Path:
    folder = shutil.copytree(pico, tmp_path_factory.mktemp("ui") / "models" / "pico")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def test_the_tokenizer_playground(model: Path) -> None:
    client = Client(model.parent.parent)
    assert client.get("playground") == {"tokenizers": ["models/pico"], "models": ["models/pico"], "readers": ["models/pico"], "endpoints": {}}
    cut = client.post("cut", {"tokenizer": "models/pico", "text": "It rains 雨"})
    assert "".join(text for _, text, _, partial in cut["tokens"] if not partial) == "It rains "
    assert [text for _, text, _, partial in cut["tokens"] if partial] == ["E9", "9B", "A8"]
    assert (cut["chars"], cut["bytes"], cut["vocab_size"], cut["first_new_id"]) == (10, 12, 500, None)
    assert "no such tokenizer" in client.post("cut", {"tokenizer": "/etc", "text": ""}, status=404)["error"]
    assert "20,000 are the most" in client.post("cut", {"tokenizer": "models/pico", "text": "a" * 20_001}, status=400)["error"]


def test_new_tokens_of_an_extended_tokenizer_are_marked(model: Path, tmp_path: Path) -> None:
    (tmp_path / "tok").mkdir()
    shutil.copy(model / "tokenizer.json", tmp_path / "tok")
    (tmp_path / "tok" / "extension.json").write_text('{"tokens": [], "first_new_id": 400}', encoding="utf-8")
    cut = Client(tmp_path).post("cut", {"tokenizer": "tok", "text": "The children were playing"})
    assert {(token_id >= 400) == bool(new) for token_id, _, new, _ in cut["tokens"]} == {True}
    assert any(new for _, _, new, _ in cut["tokens"])
    assert cut["sizes"] == [], "the record does not say what they are made of"


def test_what_fewer_new_tokens_would_make_of_a_text(model: Path, tmp_path: Path) -> None:
    text = "吾輩は猫である。名前はまだ無い。"
    (tmp_path / "tok").mkdir()
    base = load_tokenizer(model)
    save_tokenizer(base, extend_tokenizer(base.tokenizer, [text * 3], 8), model, tmp_path / "tok")
    client = Client(tmp_path)
    cut = client.post("cut", {"tokenizer": "tok", "text": text})
    assert [size for size, _ in cut["sizes"]] == [0, 1, 2, 4, 6, 8]
    counts = [used for _, used in cut["sizes"]]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (len(base.tokenizer.encode(text)), len(cut["tokens"]))
    assert client.post("cut", {"tokenizer": "tok", "text": ""})["sizes"][0] == [0, 0]


def test_how_surprising_a_text_is_to_a_model(model: Path) -> None:
    client = Client(model.parent.parent)
    asked = {"model": "models/pico", "before": "It ", "text": "rains 雨"}
    tokens = client.post("surprise", asked)["tokens"]
    assert "".join(text for text, _, partial, _ in tokens if not partial) == "It rains "
    assert all(bits > 0 for _, bits, _, _ in tokens)
    assert [before for *_, before in tokens] == sorted((before for *_, before in tokens), reverse=True)
    assert "0 characters, and 1 to 400,000" in client.post("surprise", {"model": "models/pico"}, status=400)["error"]
    assert "no such model folder" in client.post("surprise", asked | {"model": "/etc"}, status=404)["error"]


def test_thoughts_and_drawn_answers_stand_apart(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "eval", [True, True])
    lines = [json.loads(line) for line in (folder / "outputs.jsonl").read_text(encoding="utf-8").splitlines()]
    drawn = [{"generation": text, "prediction": [text], "scores": {"accuracy": 1.0}, "thought": text * 2, "cut": text == "乙"} for text in ("甲", "乙")]
    lines[-1] |= {"thought": "山は高い。", "cut": True, "samples": drawn}
    (folder / "outputs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    client = Client(tmp_path)
    [answer] = client.get("item", e="eval", i=len(lines) - 1)["answers"]
    assert (answer["thought"], answer["cut"], answer["text"]) == ("山は高い。", True, "富士山")
    assert answer["drawn"] == [{"text": "甲", "thought": "甲甲", "cut": False}, {"text": "乙", "thought": "乙乙", "cut": True}]
    [other] = client.get("item", e="eval", i=0)["answers"]
    assert (other["thought"], other["cut"], other["drawn"]) == (None, False, [])


def test_a_leaderboard_with_the_items_of_its_cells(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "matrix" / "base" / "core", RIGHT)
    write_board(tmp_path / "matrix")
    client = Client(tmp_path)
    [entry] = [entry for entry in client.get("entries")["entries"] if entry["kind"] == "leaderboard"]
    assert (entry["path"], entry["headline"]) == ("matrix", "2 models, 1 benchmark, 1 not measured yet")
    board = client.get("board", p="matrix")
    assert board["items"] == {"core": {"base": "matrix/base/core"}}
    assert [one["outcome"] for one in board["table"][0]["standings"]] == [None, "better"]
    (tmp_path / "matrix" / "leaderboard.json").write_text("{}", encoding="utf-8")
    assert "is no leaderboard of this folder" in Client(tmp_path).get("board", p="matrix", status=404)["error"]


def test_what_new_tokens_spell_in_a_run_is_marked(model: Path, tmp_path: Path) -> None:
    run = write_training_run(tmp_path / "r")
    recipe = json.loads((run / "resolved.yaml").read_text(encoding="utf-8"))
    recipe["stages"].insert(0, {"id": "tok", "kind": "tokenizer"})
    (run / "resolved.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    text = "The children were 雨"
    (run / "stages" / "cpt" / "samples.jsonl").write_text(json.dumps({"step": 0, "prompt": "x", "continuation": text}) + "\n", encoding="utf-8")
    client = Client(tmp_path)
    assert client.get("marked", p="r") == {"samples": [], "evaluations": []}
    final = run / "stages" / "tok" / "final"
    final.mkdir(parents=True)
    shutil.copy(model / "tokenizer.json", final)
    (final / "extension.json").write_text('{"tokens": [], "first_new_id": 400}', encoding="utf-8")
    (run / "stages" / "tok" / "DONE").touch()
    [pieces] = client.get("marked", p="r")["samples"]
    assert "".join(piece for piece, _ in pieces) == text
    assert {new for _, new in pieces} == {True, False}
    assert pieces[-1][0].endswith("雨")
    assert not pieces[-1][1]  # spelled by bytes


def test_a_chat_answers_as_the_command_does(model: Path) -> None:
    client = Client(model.parent, {"elsewhere": model})
    asked = {"model": "elsewhere", "messages": [{"role": "user", "content": "It rains."}], "sampling": {"temperature": 0.0, "max_tokens": 6}}
    given = [json.loads(event.removeprefix("data: ")) for event in client.post("chat", asked).strip().split("\n\n")]
    from jp_adapt.inference.speaker import FolderSpeaker, Sampling

    assert given[-2:] == [{"cut": True}, {"end": True}], "six tokens are no whole answer"
    said = "".join(event.get("piece", "") for event in given)
    assert said == "".join(FolderSpeaker(model).reply(asked["messages"], Sampling(temperature=0.0, max_tokens=6)))  # type: ignore[arg-type]
    for changes, message in (
        ({"messages": []}, "messages: a list of objects"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages: a list of objects"),
        ({"sampling": {"temperature": "hot"}}, "sampling: temperature: a number is needed"),
        ({"sampling": {"max_tokens": 10**9}}, "max_tokens 1 to 8,192"),
    ):
        assert message in client.post("chat", asked | changes)
    assert "no such model" in client.post("chat", asked | {"model": "/etc"}, status=404)["error"]
    assert "is no JSON object" in client.post("chat", [], status=400)["error"]


def test_only_endpoints_of_the_command_line_are_asked(tmp_path: Path) -> None:
    with chat_server(said("雨"), said("です。")) as server:
        client = Client(tmp_path, endpoints={"mine": EndpointSpeaker("gpt", server.url)})
        assert client.get("playground") == {"tokenizers": [], "models": ["mine"], "readers": [], "endpoints": {"mine": server.url}}
        asked = {"model": "mine", "messages": [{"role": "user", "content": "今日は？"}], "sampling": {"temperature": 0.0}}
        given = [json.loads(event.removeprefix("data: ")) for event in client.post("chat", asked).strip().split("\n\n")]
        assert given == [{"piece": "雨"}, {"piece": "です。"}, {"end": True}]
        assert server.bodies[0]["model"] == "gpt"
        for other in (server.url, "gpt", {"address": server.url}):
            assert "no such model" in client.post("chat", asked | {"model": other}, status=404)["error"]
        assert len(server.bodies) == 1
        server.script.append("{}")
        assert "gpt: the server refuses the conversation" in client.post("chat", asked)
