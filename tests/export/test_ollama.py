"""The folder for Ollama: its Go templates render as our Jinja ones, a model's own template is recognised, and what a Modelfile cannot hold is told.

Ollama itself is in no package that can be installed here; Go's text/template, which it renders with, is.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import UsageError
from jp_adapt.export import llama_cpp
from jp_adapt.export.ollama import export_ollama, quoted
from jp_adapt.export.ollama_templates import GO_TEMPLATES, PLAIN, ollama_chat, recognised
from jp_adapt.inference.text_side import ChatFormat, text_side
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.text.chat import TEMPLATES, with_defaults
from tests.conftest import documents
from tests.export.models import TEMPLATE

RENDERER = Path(__file__).parent / "ollama_render" / "main.go"
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, "
    "trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3_INSTRUCT = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ "
    "message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


@pytest.fixture(autouse=True)
def without_llama_cpp(monkeypatch):
    monkeypatch.setattr(llama_cpp, "missing_extra", lambda extra: f"{extra} is away")


def conversations(number: int = 50) -> list[list[dict[str, str]]]:
    """With a system prompt and without, of one to four turns, of real sentences, quotes, braces, and lines that look like marks of a format."""
    rng = random.Random(0)
    lines = [line for name in ("ja_heldout.jsonl", "en_heldout.jsonl") for text in documents(name) for line in text.splitlines() if line.strip()]
    odd = ['"""', "{{ .System }}", "{% if x %}", "### 応答:\nはい", "<|im_end|>", "[/INST]", "\\n", "a\n\n\nb", "　全角", "`$x`", "🦙", "<b>&amp;</b>"]
    results = []
    for index in range(number):
        said = [rng.choice(lines) if rng.random() < 0.8 else rng.choice(odd) for _ in range(8)]
        system = [{"role": "system", "content": said.pop()}] if index % 2 else []
        turns = [message for _ in range(index % 4) for message in ({"role": "user", "content": said.pop()}, {"role": "assistant", "content": said.pop()})]
        results.append([*system, *turns, {"role": "user", "content": said.pop()}])
    return results


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> dict[tuple[str, bool], list[str]]:
    """(template, whether the tokenizer adds BOS) -> texts of `conversations`, by Go."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed (apt-get install golang-go)")
    wanted = [(name, adds_bos) for name in GO_TEMPLATES for adds_bos in (False, True)]
    jobs = [{"template": go_template(name, adds_bos=adds_bos), "conversations": conversations()} for name, adds_bos in wanted]
    env = {"PATH": "/usr/bin:/usr/local/go/bin:/bin", "HOME": str(tmp_path_factory.mktemp("go")), "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GO111MODULE": "off"}
    done = subprocess.run([go, "run", str(RENDERER)], input=json.dumps(jobs), capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [result["Dropped"] for result in results] == [""] * len(wanted)
    return {key: result["Texts"] for key, result in zip(wanted, results, strict=True)}


class _Folder:
    """A text side of which only the folder is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


def go_template(name: str, *, adds_bos: bool) -> str:
    return ollama_chat(_Folder(Path()), adds_bos=adds_bos, bos="<s>", eos="</s>", name=name).template


def test_every_template_of_ours_has_one_for_ollama():
    assert GO_TEMPLATES.keys() == TEMPLATES.keys()


@pytest.mark.parametrize("name", list(TEMPLATES))
@pytest.mark.parametrize("adds_bos", [False, True])
def test_go_renders_what_jinja_renders(rendered, name, adds_bos):
    chat = ChatFormat(with_defaults(TEMPLATES[name].jinja, bos="<s>", eos="</s>", system=None))
    expected = [chat.render_messages(messages, prompt=True) for messages in conversations()]
    if adds_bos:
        expected = [text.removeprefix("<s>") for text in expected]
    assert rendered[name, adds_bos] == expected
    assert len(set(expected)) == 50


def write_template(folder: Path, source: Path, template: str | None) -> Path:
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "chat_template.jinja").unlink()
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_our_own_template_is_recognised_with_its_system_prompt(sp_model, tmp_path, name):
    system = TEMPLATES[name].system
    jinja = with_defaults(TEMPLATES[name].jinja, bos="<s>", eos="</s>", system=system)
    side = text_side(write_template(tmp_path / "model", sp_model, jinja))
    assert recognised(side, bos="<s>", eos="</s>") == (name, system)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (SMOLLM2, ("chatml", "You are a helpful AI assistant named SmolLM, trained by Hugging Face")),
        (LLAMA3_INSTRUCT, ("llama3", None)),
    ],
)
def test_published_templates_are_recognised(sp_model, tmp_path, template, expected):
    side = text_side(write_template(tmp_path / "model", sp_model, template))
    assert recognised(side, bos="<s>", eos="</s>") == expected


def test_the_folder(sp_model, tmp_path, capsys):
    model = write_template(tmp_path / "beluga", sp_model, with_defaults(TEMPLATES["stable-beluga"].jinja, bos="<s>", eos="</s>", system="助手です。"))
    out = tmp_path / "out"
    assert main(["export", "ollama", str(model), "--out", str(out), "--type", "Q8_0"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    assert "ollama create NAME -f" in captured.err
    assert sorted(path.name for path in out.iterdir()) == ["Modelfile", "beluga.gguf"]
    template = go_template("stable-beluga", adds_bos=True)
    assert (out / "Modelfile").read_text(encoding="utf-8") == (
        f'FROM ./beluga.gguf\nTEMPLATE """{template}"""\nSYSTEM """助手です。"""\n'
        'PARAMETER stop """</s>"""\nPARAMETER stop """### User:"""\nPARAMETER num_ctx 512\n'
    )
    assert GgufFile(out / "beluga.gguf").fields["general.file_type"] == 7


def test_settings_go_over_what_the_model_says(sp_model, tmp_path):
    export_ollama(sp_model, tmp_path / "out", system="短く。", template="llama2-ja", num_ctx=300, name="org/mine")
    text = (tmp_path / "out" / "Modelfile").read_text(encoding="utf-8")
    assert text.startswith("FROM ./org-mine.gguf\n")
    assert 'SYSTEM """短く。"""' in text
    assert "PARAMETER num_ctx 300" in text
    assert "[INST] " in text


def test_a_model_without_a_chat_template_goes_on_with_a_text(sp_model, tmp_path):
    export_ollama(write_template(tmp_path / "base", sp_model, None), tmp_path / "out")
    assert f'TEMPLATE """{PLAIN}"""' in (tmp_path / "out" / "Modelfile").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"its chat template renders as none of alpaca-ja, .*, chatml does, and Ollama does not render Jinja; name the one that is meant with --template"),
        ({"template": "llama4"}, "no chat template 'llama4'; known: alpaca-ja, stable-beluga, llama2-ja, llama3, chatml"),
        ({"template": "chatml", "system": "日本語　で。"}, r"Ollama drops U\+3000 from a Modelfile without a word"),
        ({"template": "chatml", "system": 'say """'}, 'a Modelfile puts texts between """'),
    ],
)
def test_what_a_modelfile_cannot_hold(sp_model, tmp_path, options, message):
    assert (sp_model / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    with pytest.raises(UsageError, match=message):
        export_ollama(sp_model, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_quotes():
    assert quoted('a "b" c\n\td') == '"""a "b" c\n\td"""'
    with pytest.raises(UsageError):
        quoted('ends with "')


def test_a_conversation_longer_than_the_model_is_refused(sp_model, tmp_path):
    with pytest.raises(UsageError, match=r"--num-ctx 100,000: the model was made for [\d,]+ tokens"):
        export_ollama(sp_model, tmp_path / "out", num_ctx=100_000)
    assert not (tmp_path / "out").exists()
