"""llama.cpp's own server on a small exported model: it answers in the model's template, with the model's ids, and stops where the model stops."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import socket
from dataclasses import replace

import httpx2
import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.chat import chat
from jp_adapt.commands.serve import plan_server
from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.export import llama_cpp
from jp_adapt.export.gguf import export_gguf
from jp_adapt.export.llama_server import llama_server
from jp_adapt.inference import speaker
from jp_adapt.inference.speaker import FolderSpeaker, Reply, Sampling, ServerSpeaker
from jp_adapt.inference.text_side import text_side
from tests.conftest import make_pico
from tests.export.models import TEMPLATE

pytestmark = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed (pip install 'jp-adapt[gguf]')")
GREEDY = Sampling(temperature=0, max_tokens=12)
TALK = [{"role": "system", "content": "短く。"}, {"role": "user", "content": "It rains. 雨です。"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    model = make_pico(tmp_path_factory.mktemp("serving") / "pico", tied=False)
    (model / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return model


@pytest.fixture(scope="module")
def file(folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llama_cpp, "missing_extra", lambda extra: "checked elsewhere")
        return export_gguf(folder, tmp_path_factory.mktemp("gguf") / "pico.gguf", ["F32"])[0].path


def test_folder_and_file_give_the_same_answer(folder, file):
    ours = list(FolderSpeaker(folder, "float32").reply(TALK, GREEDY))
    with llama_server(file, exact=True) as address:
        theirs = list(ServerSpeaker(address).reply(TALK, GREEDY))
    assert "".join(ours) == "".join(theirs) != ""
    assert len(theirs) > 1  # in pieces


def test_a_file_that_llama_cpp_does_not_load_is_one_error(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(JpAdaptError, match=r"x\.gguf: llama\.cpp does not load it \("), llama_server(tmp_path / "x.gguf"):
        pass


def test_two_models_side_by_side_with_a_transcript(folder, file, tmp_path):
    shown: list[str] = []
    transcript = tmp_path / "talk.jsonl"
    said = ["It rains.", "Why?", "/new", "日本", "/end", "never"]
    chat({"one": folder, "two": file}, said, shown.append, sampling=GREEDY, system="短く。", transcript=transcript, dtype="float32")
    lines = [json.loads(line) for line in transcript.read_text(encoding="utf-8").splitlines()]
    assert [(line["model"], len(line["messages"])) for line in lines] == [("one", 2), ("two", 2), ("one", 4), ("two", 4), ("one", 2), ("two", 2)]
    assert lines[2]["messages"][2] == {"role": "assistant", "content": lines[0]["answer"]}
    assert lines[0]["sampling"]["temperature"] == 0
    assert "".join(shown).count("one: ") == 3
    assert "never" not in "".join(shown)
    with pytest.raises(UsageError, match=r"talk\.jsonl: exists already; give another --transcript"):
        chat({"one": folder}, [], shown.append, transcript=transcript)


def test_a_conversation_that_is_too_long_is_told_and_not_kept(folder, file):
    shown: list[str] = []
    chat({"one": folder, "two": file}, ["long " * 600, "short"], shown.append, sampling=GREEDY, dtype="float32")
    text = "".join(shown)
    assert "which leaves no room for an answer in the model's 512; /new begins a new conversation]" in text
    assert "[the server refuses the conversation (" in text
    assert text.count("/new begins") == 2  # the next message stands alone again


def test_the_default_of_512_tokens_of_an_answer_fits_a_model_of_512_positions(folder, file, tmp_path, monkeypatch):
    """The answer may have what the conversation leaves of the model's context, and is told to be cut there."""
    monkeypatch.setattr(speaker, "decoded_pieces", lambda ids, decode: (f"{token} " for token in ids))
    shown: list[str] = []
    transcript = tmp_path / "talk.jsonl"
    chat({"folder": folder, "file": file}, ["It rains. " * 80], shown.append, sampling=Sampling(temperature=0), transcript=transcript, dtype="float32")
    lines = [json.loads(line) for line in transcript.read_text(encoding="utf-8").splitlines()]
    assert [line["cut"] for line in lines] == [True, True]
    assert "".join(shown).count("[cut: 512 tokens, or the end of the model's context; --max-tokens allows more, /new makes room]\n") == 2
    side = text_side(folder)
    prompt = side.tokenizer.runtime.encode(side.chat.render_messages(lines[0]["messages"], prompt=True), add_special_tokens=False).ids
    assert len(prompt) + len(lines[0]["answer"].split()) == 512


def told(reply: Reply) -> tuple[list[str], bool]:
    """The pieces of an answer, and whether it was cut."""
    pieces = []
    while True:
        try:
            pieces.append(next(reply).strip())
        except StopIteration as end:
            return pieces, end.value


def test_an_answer_that_ends_by_itself_is_not_cut(folder, monkeypatch):
    monkeypatch.setattr(speaker, "decoded_pieces", lambda ids, decode: (f"{token} " for token in ids))
    model = FolderSpeaker(folder, "float32")
    ids, cut = told(model.reply(TALK, GREEDY))
    assert (len(ids), cut) == (GREEDY.max_tokens, True)
    model.side = replace(model.side, stop_ids=(*model.side.stop_ids, int(ids[3])))
    assert told(model.reply(TALK, GREEDY)) == (ids[: ids.index(ids[3])], False)


def test_a_seed_repeats_what_is_drawn(folder):
    speaker = FolderSpeaker(folder, "float32")
    drawn = ["".join(speaker.reply(TALK, Sampling(temperature=2.0, max_tokens=12, seed=seed))) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_without_llama_cpp_a_file_is_expanded(file, monkeypatch, capsys):
    monkeypatch.setattr("jp_adapt.commands.chat.missing_extra", lambda extra: "away")
    shown: list[str] = []
    chat({"file": file}, ["It rains."], shown.append, sampling=GREEDY)
    assert "".join(shown).strip()
    assert "pico.gguf is expanded to float32 for transformers" in capsys.readouterr().err


def test_which_server_and_which_flags(folder, file, capsys):
    assert main(["serve", str(folder), "--print", "--port", "9000"]) == 0
    command = shlex.split(capsys.readouterr().out)
    assert command == ["vllm", "serve", str(folder), "--served-model-name", "pico", "--host", "127.0.0.1", "--port", "9000", "--max-model-len", "512"]
    assert main(["serve", str(file), "--print", "--context", "256", "--name", "x"]) == 0
    command = shlex.split(capsys.readouterr().out)
    assert command == ["llama-server", "--model", str(file), "--alias", "x", "--jinja", "--host", "127.0.0.1", "--port", "8000", "--ctx-size", "256"]
    assert plan_server(file).installed


def test_a_model_that_is_not_there(tmp_path, capsys):
    for verb in ("chat", "serve"):
        assert main([verb, str(tmp_path / "nothing")]) == 3
        assert "nothing: no such model; give a model folder or a GGUF file" in capsys.readouterr().err
    with pytest.raises(InputError, match="no such model"):
        plan_server(tmp_path / "nothing")


def test_the_server_speaks_openais_interface(file):
    with llama_server(file, context=256) as address:
        answer = httpx2.post(f"{address}/v1/chat/completions", json={"messages": TALK, "max_tokens": 4, "temperature": 0}, timeout=60).json()
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["usage"]["completion_tokens"] <= 4


def test_the_server_answers_to_its_name(file):
    with llama_server(file, context=256, name="mine") as address:
        assert [entry["id"] for entry in httpx2.get(f"{address}/v1/models", timeout=60).json()["data"]] == ["mine"]


def test_a_file_that_is_cut_is_told_as_serve_tells_it(file, tmp_path, capsys):
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:1000])
    (tmp_path / "x.jsonl").write_text('{"text": "あ"}\n', encoding="utf-8")
    for name in ("cut.gguf", "x.jsonl"):
        said = []
        for verb in ("chat", "serve"):
            assert main([verb, str(tmp_path / name)]) == 3
            said.append(capsys.readouterr().err)
        assert said[0] == said[1]
        assert f"{name}: not a readable GGUF file" in said[0]


def test_what_cannot_be_served_is_refused_before_a_server_starts(folder, file, tmp_path, capsys):
    tokenizer = tmp_path / "tokenizer"
    shutil.copytree(folder, tokenizer, ignore=shutil.ignore_patterns("*.safetensors"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for given, code, message in (
            ([tokenizer, "--print"], 3, "no *.safetensors here, no weights"),
            ([folder, "--print", "--context", "513"], 2, "--context 513: the model was made for 512 tokens"),
            ([file, "--print", "--context", "513"], 2, "--context 513: the model was made for 512 tokens"),
            ([file, "--port", port], 2, f"127.0.0.1:{port} cannot be used (Address already in use); give another --port"),
        ):
            assert main(["serve", *map(str, given)]) == code, given
            assert message in capsys.readouterr().err
    for option in ("--name", "--host"):
        with pytest.raises(SystemExit, match="2"):
            main(["serve", str(file), option, ""])
        assert f"argument {option}: is empty" in capsys.readouterr().err


def test_a_model_of_a_run_is_served_under_the_runs_name(folder, tmp_path):
    final = tmp_path / "mine" / "stages" / "model" / "final"
    shutil.copytree(folder, final)
    assert plan_server(final).name == "mine/model"
    assert plan_server(final, name="x").name == "x"


def test_a_transcript_in_a_folder_that_is_not_there(folder, tmp_path):
    chat({"one": folder}, ["It rains."], lambda piece: None, sampling=GREEDY, transcript=tmp_path / "new" / "talk.jsonl", dtype="float32")
    assert (tmp_path / "new" / "talk.jsonl").is_file()
