"""The engine behind lm-eval's interface against lm-eval's own `hf` model."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from jp_adapt.core.errors import InputError, UsageError
from tests.conftest import documents

pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # lm-eval's and its libraries' own

STOPS = {"until": ["the", "\n"], "max_gen_toks": 24, "do_sample": False}


@pytest.fixture(scope="module", params=["plain", "bos"])
def models(request: pytest.FixtureRequest, pico: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """(lm-eval's model, ours) on a tokenizer that puts nothing before a text, and on one that puts its BOS there."""
    from lm_eval.models.huggingface import HFLM
    from tokenizers import Tokenizer, processors

    from jp_adapt.evaluation.lm_eval_model import JpAdaptLM

    folder = tmp_path_factory.mktemp("lm_eval") / request.param
    shutil.copytree(pico, folder)
    if request.param == "bos":
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.post_processor = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
        tokenizer.save(str(folder / "tokenizer.json"))
    peer = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=4)
    return peer, JpAdaptLM(str(folder), dtype="float32")


def _instances(kind: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance(request_type=kind, doc={}, arguments=entry, idx=0) for entry in arguments]


def test_log_likelihoods(models: tuple[Any, Any]) -> None:
    peer, ours = models
    text = documents("en_train.jsonl")
    pairs = [(entry[:90], entry[90:120]) for entry in text[:6]]
    pairs += [("The end. ", "of it"), ("問い：", "日本"), ("", "A whole text"), ("<|endoftext|>begun", " already"), ("a\n", "b")]
    pairs += [(" ".join(text[:6])[:4000], choice) for choice in (" one", " another")]  # more than the 512 tokens of the context
    assert len(ours.tok_encode(pairs[-1][0])) > ours.max_length == peer.max_length == 512
    theirs = peer.loglikelihood(_instances("loglikelihood", pairs), disable_tqdm=True)
    results = ours.loglikelihood(_instances("loglikelihood", pairs), disable_tqdm=True)
    assert [nats for nats, _ in results] == pytest.approx([nats for nats, _ in theirs], abs=1e-4)
    assert [greedy for _, greedy in results] == [greedy for _, greedy in theirs]


def test_what_the_model_would_write_is_greedy(models: tuple[Any, Any]) -> None:
    """Both values of `is_greedy`, which a random model nearly never has on written text."""
    peer, ours = models
    context = "Once upon a time"
    token = ours.side.tokenizer.encode("x")[0]
    ids = ours.tok_encode(context)
    best = peer._model_call(torch.tensor([ids]))[0, -1].argmax().item()
    asked = [(None, ids, [best]), (None, ids, [token if token != best else token + 1])]
    assert [greedy for _, greedy in ours._loglikelihood_tokens(asked)] == [True, False]
    assert [greedy for _, greedy in peer._loglikelihood_tokens([(("a", "b"), *entry[1:]) for entry in asked], disable_tqdm=True)] == [True, False]


def test_rolling(models: tuple[Any, Any]) -> None:
    peer, ours = models
    text = documents("en_train.jsonl")
    texts = [(text[0][:50],), (" ".join(text[:5])[:5000],), ("猫",)]
    assert len(ours.tok_encode(texts[1][0])) > 2 * ours.max_length
    theirs = peer.loglikelihood_rolling(_instances("loglikelihood_rolling", texts), disable_tqdm=True)
    results = ours.loglikelihood_rolling(_instances("loglikelihood_rolling", texts))
    assert results == pytest.approx(theirs, rel=1e-6, abs=1e-4)


def test_generation(models: tuple[Any, Any]) -> None:
    peer, ours = models
    text = documents("en_train.jsonl")
    asked = [(entry[:60], STOPS) for entry in text[:5]] + [(entry[:80], {"until": [], "max_gen_toks": 9}) for entry in text[5:8]]
    asked += [(" ".join(text[:6])[:4000], STOPS)]
    first = peer.generate_until(_instances("generate_until", [(asked[0][0], {"until": [], "max_gen_toks": 24})]), disable_tqdm=True)[0]
    asked.append((asked[0][0], {"until": [first[6:8]], "max_gen_toks": 24}))  # a stop string that is met
    theirs = peer.generate_until(_instances("generate_until", asked), disable_tqdm=True)
    results = ours.generate_until(_instances("generate_until", asked))
    assert results == theirs
    assert any(results)
    assert len(results[-1]) < len(first)


def test_what_the_engine_cannot_do_is_refused(models: tuple[Any, Any]) -> None:
    _, ours = models
    with pytest.raises(UsageError, match="do_sample"):
        ours.generate_until(_instances("generate_until", [("a", {"until": [], "do_sample": True, "temperature": 0.7})]))
    with pytest.raises(UsageError, match="max_gen_toks is 512"):
        ours.generate_until(_instances("generate_until", [("a", {"until": [], "max_gen_toks": 512})]))
    with pytest.raises(InputError, match="513 tokens"):
        ours._loglikelihood_tokens([(None, [0], [5] * 513)])


def test_chats_are_those_of_the_folders_own_template_on_its_own_day(models: tuple[Any, Any], tmp_path: Path) -> None:
    from jp_adapt.evaluation.lm_eval_model import JpAdaptLM

    _, ours = models
    with pytest.raises(InputError, match="has no chat template; leave --apply_chat_template out"):
        ours.apply_chat_template([{"role": "user", "content": "a"}])
    shutil.copytree(ours.pretrained, tmp_path / "m")
    template = "{{ bos_token }}{{ strftime_now('%d %b %Y') }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
    template += "{% if add_generation_prompt %}[assistant]{% endif %}"
    (tmp_path / "m" / "chat_template.jinja").write_text(template, encoding="utf-8")
    chat, messages = JpAdaptLM(str(tmp_path / "m"), dtype="float32"), [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "It is"}]
    assert chat.apply_chat_template(messages) == "<|endoftext|>26 Jul 2024[user]1+1?<|endoftext|>[assistant]It is<|endoftext|>[assistant]"
    assert chat.apply_chat_template(messages, add_generation_prompt=False) == "<|endoftext|>26 Jul 2024[user]1+1?<|endoftext|>[assistant]It is"
    assert (chat.chat_template(False), template in chat.chat_template(True)) == ("", True)
    with pytest.raises(UsageError, match="renders the folder's default template"):
        chat.chat_template("tool_use")


@pytest.mark.programs
def test_lm_evals_command_knows_the_model(pico: Path, tmp_path: Path) -> None:
    """A task folder, lm-eval's command with the module imported first, and lm-eval's file of results."""
    rows = [{"q": f"{n} and", "options": [" one", " two"], "gold": n % 2} for n in range(4)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "tiny.yaml").write_text(
        f"task: tiny_choice\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path / 'items.jsonl'}}}}}\ntest_split: test\n"
        "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_choice: options\ndoc_to_target: gold\ntarget_delimiter: ''\n"
        "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "jp_adapt.evaluation.lm_eval_model", "--model", "jp_adapt", "--model_args", f"pretrained={pico},dtype=float32"]
    command += ["--include_path", str(tmp_path), "--tasks", "tiny_choice", "--output_path", str(tmp_path / "out")]
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (written,) = (tmp_path / "out").rglob("results_*.json")
    assert json.loads(written.read_text(encoding="utf-8"))["results"]["tiny_choice"]["acc,none"] in (0.0, 0.25, 0.5, 0.75, 1.0)


def test_the_entry_point_names_the_class() -> None:
    from jp_adapt.evaluation import lm_eval_model
    from tests.conftest import ROOT

    found = re.search(r'entry-points."lm_eval.models"\][^\n]*\njp_adapt = "([\w.]+):(\w+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert found is not None
    assert found.groups() == (lm_eval_model.__name__, lm_eval_model.JpAdaptLM.__name__)
