"""The commands of docs/serving.md, copied from the page, in its order, on a small model; the hub is one on loopback."""

from __future__ import annotations

import io
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.text.chat import TEMPLATES, with_defaults
from tests.conftest import ROOT
from tests.export.conftest import needs_llama_cpp
from tests.export.hub_server import hub_server
from tests.export.test_hub import run
from tests.export.test_vllm_adapter import adapter

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
COMMANDS = [line.strip().split(" #")[0] for line in PAGE.splitlines() if line.startswith("    jp-adapt ")]
NAMES = {"MODEL": "model", "BASE": "base", "ADAPTER": "adapter", "OWNER/NAME": "me/small-ja"}


@pytest.fixture
def folder(tmp_path: Path, pico: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page says that a reader brings."""
    shutil.copytree(pico, tmp_path / "base")
    shutil.copytree(pico, tmp_path / "model")
    jinja = with_defaults(TEMPLATES["stable-beluga"].jinja, bos="<|endoftext|>", eos="<|endoftext|>", system="短く。")
    for name in ("base", "model"):
        (tmp_path / name / "chat_template.jinja").write_text(jinja, encoding="utf-8")
    (tmp_path / "model" / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# small\n", encoding="utf-8")
    adapter(pico, tmp_path / "adapter")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    return tmp_path


@needs_llama_cpp
def test_every_command_of_the_page_runs_in_its_order(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    with hub_server() as server:
        for command in COMMANDS:
            words = [NAMES.get(word, word) for word in shlex.split(command)[1:]]
            if words[:2] == ["export", "hub"]:
                done = run(server, *words[2:])
                assert done.returncode == 0, done.stderr
                said.append(done.stdout)
                continue
            monkeypatch.setattr(sys, "stdin", io.StringIO("It rains.\n"))
            assert main([*words, *(["--print"] if words[0] == "serve" else [])]) == 0, command
            said.append(capsys.readouterr().out)
        assert server.repos["me/small-ja"]["files"].keys() >= {"README.md", "model.safetensors", "config.json"}
    for name, number in (("model.gguf", 1), ("model-F32.gguf", 0), ("model-Q8_0.gguf", 7), ("model-Q4_K_M.gguf", 15), ("for-ollama/model.gguf", 7)):
        assert GgufFile(folder / name).fields["general.file_type"] == number
    assert (folder / "for-ollama" / "Modelfile").is_file()
    assert (folder / "for-vllm" / "adapter_config.json").is_file()
    assert all(said)


def test_the_page_shows_every_command_that_it_is_about() -> None:
    shown = {tuple(shlex.split(command)[1:3])[: 2 if " export " in command else 1] for command in COMMANDS}
    assert shown == {("export", "gguf"), ("export", "ollama"), ("export", "vllm-adapter"), ("export", "hub"), ("chat",), ("serve",)}
