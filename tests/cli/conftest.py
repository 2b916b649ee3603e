"""Tokenizer folders as a user has them, commands that must fail, and endpoints that are not waited for."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.inference import endpoint
from tests.conftest import QUICKSTART, documents
from tests.tokenizer.conftest import load_sentencepiece, small_ranks, tiktoken_spec, train_sentencepiece, train_small

EN = str(QUICKSTART / "en_heldout.jsonl")
FEW = tempfile.mkdtemp(prefix="jp-adapt-few-")
atexit.register(shutil.rmtree, FEW, ignore_errors=True)
JA = str(Path(FEW, "ja.jsonl"))  # three documents: most commands refuse something before they read it, and the others need no more
Path(JA).write_text("".join(json.dumps({"text": text}) + "\n" for text in documents("ja_heldout.jsonl")[:3]), encoding="utf-8")

TEMPLATE = "{{ messages[0]['content'] }}"
Refuse = Callable[..., str]


def write_folder(folder: Path, spec: object, native: bytes | None = None) -> Path:
    """A Hugging Face tokenizer folder with a chat template."""
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}', encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    if native is not None:
        (folder / "tokenizer.model").write_bytes(native)
    return folder


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family: byte-level, SentencePiece and tiktoken."""
    from jp_adapt.tokenizer.tiktoken import write_ranks

    root = tmp_path_factory.mktemp("bases")
    model = train_sentencepiece()
    return {
        "small": write_folder(root / "small", train_small().spec),
        "sp": write_folder(root / "sp", load_sentencepiece(model).tokenizer.spec, model),
        "tik": write_folder(root / "tik", tiktoken_spec(small_ranks()), write_ranks(small_ranks())),
    }


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run a command that must fail, and give the line that it says."""

    def run(*arguments: object, code: int = 3, codes: tuple[int, ...] = ()) -> str:
        before = sorted(tmp_path.rglob("*"))
        try:
            results = main(["tokenizer", *map(str, arguments)])
        except SystemExit as stop:
            results = stop.code if isinstance(stop.code, int) else 1
        printed, error = capsys.readouterr()
        assert results in (codes or (code,)), error
        if results == 0:  # damage that leaves a good file
            assert error == ""
            shutil.rmtree(tmp_path / "out")
        else:
            if results != 4 or arguments[0] == "extend":  # verify prints what is wrong
                assert printed == ""
            lines = error.splitlines()
            assert "Traceback" not in error
            assert error.startswith("error: ")
            assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("Try: jp-adapt ")), error
            assert len(lines[0]) > 25, "the line says something"
        assert sorted(tmp_path.rglob("*")) == before, "nothing is left behind"
        return error

    return run


def extend(base: object, out: Path, *more: object, corpus: object = JA, number: object = 20) -> list[object]:
    """The arguments of `tokenizer extend`."""
    return ["extend", "--base", base, "--corpus", corpus, "--new-tokens", number, "--out", out, *more]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that fails is asked again at once."""
    monkeypatch.setattr(endpoint, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(endpoint, "LONGEST_ASKED_WAIT_S", 0.05)
