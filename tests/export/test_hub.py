"""A model goes to the hub: over loopback, with the protocol of huggingface_hub; its card, and what the licence of a base asks."""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from jp_adapt.cli.main import main
from jp_adapt.commands.hub import plan_upload
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.evaluation.results import BenchmarkScore, MetricScore, Scores, write_scores
from jp_adapt.export.licences import check_name, settled_licence
from tests.export.hub_server import TOKEN, HubServer, hub_server
from tests.processes import Ended
from tests.processes import run as run_command

FACTS = "Made with jp-adapt 0.1.0.\n\n- recipe: `small`, seed 7\n- text `ja` (ja), licence CC-BY-4.0"


@pytest.fixture
def model(pico, tmp_path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in pico.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "README.md").write_text(f"---\nlicense: apache-2.0\n---\n\n# small\n\n{FACTS}\n", encoding="utf-8")
    (folder / "pico-F16.gguf").write_bytes(b"GGUF" + bytes(200))
    (folder / "optimizer.pt").write_bytes(b"not part of a model")
    return folder


@pytest.fixture
def scores(tmp_path) -> Path:
    entry = BenchmarkScore(
        id="ja/jcommonsenseqa",
        name="ja/jcommonsenseqa@jp-adapt/3-shot/accuracy",
        title="JCommonsenseQA",
        version="1",
        licence="CC-BY-SA-4.0",
        source="https://github.com/yahoojapan/JGLUE",
        revision=None,
        sha256={},
        num_fewshot=3,
        items=1119,
        primary_metric="accuracy",
        metrics={"accuracy": MetricScore(0.5, (0.47, 0.53), 0.015)},
        chance=0.2,
        majority=0.21,
    )
    (tmp_path / "scores").mkdir()
    write_scores(tmp_path / "scores", Scores(model={"name": "small"}, profile="jp-adapt", benchmarks=[entry]))
    return tmp_path / "scores"


def run(server: HubServer, *arguments: str, token: str | None = TOKEN) -> Ended:
    """The command in a process of its own, where the hub's client has the settings that it reads when it is imported."""
    env: dict[str, str | None] = dict.fromkeys(name for name in os.environ if name.startswith(("HF_", "TRANSFORMERS_")))
    settings = {"HF_ENDPOINT": server.address, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HOME": str(Path(arguments[0]).parent / "hf")}
    return run_command("export", "hub", *arguments, env=env | settings | {"HF_TOKEN": token}, prepare=forget_the_hub)


def forget_the_hub() -> None:
    """The client's package is imported again when it is used next."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]


def test_a_model_arrives_whole(model, scores):
    with hub_server() as server:
        done = run(server, str(model), "--repo", "me/small-ja", "--private", "--scores", str(scores))
        assert (done.returncode, done.stdout) == (0, f"{server.address}/me/small-ja/commit/{'1' * 40}\n"), done.stderr
        repo = copy.deepcopy(server.repos["me/small-ja"])
        again = run(server, str(model), "--repo", "me/small-ja")
        updated = run(server, str(model), "--repo", "me/small-ja", "--update")
    assert repo["private"] is True
    assert repo["files"].keys() == {path.name for path in model.iterdir()} - {"optimizer.pt"}
    for name in repo["files"].keys() - {"README.md"}:
        assert repo["files"][name] == (model / name).read_bytes()
    card = repo["files"]["README.md"].decode("utf-8")
    assert FACTS in card
    assert "ja/jcommonsenseqa@jp-adapt/3-shot/accuracy` | 0.500 [0.470, 0.530] | 1,119" in card
    assert again.returncode == 2
    assert "error: me/small-ja: exists on the hub already; give another name, or --update to add a commit to it" in again.stderr
    assert updated.returncode == 0, updated.stderr
    for output in (done, again, updated):
        assert TOKEN not in output.stdout + output.stderr


def test_nothing_is_sent_in_a_dry_run(model):
    with hub_server() as server:
        done = run(server, str(model), "--repo", "me/small-ja", "--dry-run", token=None)
        assert server.asked == []
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("=== README.md\n---\n")
    assert "model.safetensors" in done.stderr


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refusal_is_one_line_without_the_token(model, status):
    with hub_server() as server:
        server.refuse["/api/repos/create"] = status
        done = run(server, str(model), "--repo", "me/small-ja")
    assert done.returncode == 1
    assert "error: me/small-ja: the hub refuses (" in done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_without_a_token_nothing_is_asked(model):
    with hub_server() as server:
        done = run(server, str(model), "--repo", "me/small-ja", token=None)
        assert (done.returncode, server.asked) == (2, [])
    assert "nobody is logged in to the hub; run hf auth login, or set HF_TOKEN" in done.stderr


def test_the_front_matter_is_what_the_hub_reads(model, scores):
    plan = plan_upload(model, "me/small-ja", scores=[scores], base_model="HuggingFaceTB/SmolLM2-135M")
    card = ModelCard(plan.texts["README.md"])
    assert (card.data.license, card.data.base_model, card.data.language, card.data.pipeline_tag) == (
        "apache-2.0",
        "HuggingFaceTB/SmolLM2-135M",
        ["ja", "en"],
        "text-generation",
    )
    result = card.data.eval_results[0]
    assert (result.dataset_name, result.metric_type, result.metric_value) == ("JCommonsenseQA", "accuracy", 0.5)
    front = yaml.safe_load(plan.texts["README.md"].split("---")[1])
    arguments = front["model-index"][0]["results"][0]["metrics"][0]["args"]
    assert arguments == {"protocol": "ja/jcommonsenseqa@jp-adapt/3-shot/accuracy", "items": 1119, "interval_95": [0.47, 0.53]}
    for part in ("## Use", "vllm serve me/small-ja", "llama-server --model pico-F16.gguf --jinja", "## 使い方", "## ライセンス"):
        assert part in card.text


def test_a_run_tells_its_base_and_its_tokenizer(model, tmp_path):
    final = tmp_path / "run" / "stages" / "model" / "final"
    final.parent.mkdir(parents=True)
    model.rename(final)
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    (tmp_path / "run" / "resolved.yaml").write_text("base: {model: meta-llama/Llama-2-7b-hf}\n", encoding="utf-8")
    criteria = tmp_path / "run" / "stages" / "tok" / "final" / "criteria.json"
    criteria.parent.mkdir(parents=True)
    criteria.write_text('{"changed_lines": 0, "longer_inputs": 0}', encoding="utf-8")
    with pytest.raises(UsageError, match="a model made from meta-llama/Llama-2-7b-hf is under llama2"):
        plan_upload(final, "me/small-ja")
    plan = plan_upload(final, "me/small-ja", licence="llama2")
    assert "- `changed_lines`: 0" in plan.texts["README.md"]
    assert plan.texts["NOTICE"].startswith("Llama 2 is licensed under the LLAMA 2 Community License")


@pytest.mark.parametrize(
    ("given", "card", "base", "expected"),
    [
        (None, None, "meta-llama/Meta-Llama-3-8B", "llama3"),
        (None, None, "meta-llama/Llama-3.1-8B-Instruct", "llama3.1"),
        (None, None, "meta-llama/Llama-3.2-1B", "llama3.2"),
        (None, "apache-2.0", None, "apache-2.0"),
        ("mit", "apache-2.0", "org/other", "mit"),
    ],
)
def test_which_licence(given, card, base, expected):
    assert settled_licence(given, card, base) == expected


@pytest.mark.parametrize(
    ("given", "card", "base", "message"),
    [
        (None, None, "org/other", "no licence is known of this model"),
        ("apache-2.0", None, "meta-llama/Llama-3.1-8B", r"--licence apache-2\.0: a model made from meta-llama/Llama-3\.1-8B is under llama3\.1"),
        (None, "mit", "meta-llama/Meta-Llama-3-8B", "is under llama3, whatever its own authors choose"),
        ("Apache-2.0", None, None, r"--licence Apache-2\.0: no identifier that the hub knows \(did you mean 'apache-2\.0'\?\); see huggingface\.co/"),
        (None, "my own", "org/other", r"--licence my own: no identifier that the hub knows; see .*, or take 'other'"),
    ],
)
def test_a_licence_that_cannot_be(given, card, base, message):
    with pytest.raises(UsageError, match=message):
        settled_licence(given, card, base)


@pytest.mark.parametrize("repo", ["me/Llama-3-ja-8B", "me/Llama 3 ja", "me/Llama3-ja"])
def test_names_that_llama3_allows(repo):
    check_name(repo, "llama3")


@pytest.mark.parametrize(
    ("repo", "licence", "message"),
    [
        ("me/ja-8B", "llama3", "begin with 'Llama 3'; take Llama-3-ja-8B"),
        ("me/ja-Llama-3.1", "llama3.1", "begin with 'Llama'; take Llama-ja-Llama-3.1"),
        ("me/Llama-2-ja", "llama3", "begin with 'Llama 3'"),
        ("me/Llamas-ja", "llama3.2", "begin with 'Llama'"),
    ],
)
def test_names_that_the_licence_does_not_allow(repo, licence, message):
    with pytest.raises(UsageError, match=message):
        check_name(repo, licence)
    check_name(repo, "llama2")
    check_name(repo, "apache-2.0")


def test_built_with_llama_is_displayed(model):
    (model / "README.md").unlink()
    card = plan_upload(model, "me/Llama-3.1-ja", licence="llama3.1").texts["README.md"]
    assert card.split("---")[2].lstrip().startswith("# Llama-3.1-ja\n\n**Built with Llama**\n")


@pytest.mark.parametrize("repo", ["small-ja", "me/", "/small-ja", "a/b/c"])
def test_what_is_no_name(model, repo):
    with pytest.raises(UsageError, match="a repository's name is OWNER/NAME"):
        plan_upload(model, repo)


@pytest.mark.parametrize("repo", ["me/small ja", "me/日本語", "me/small--ja", "me/small..ja", "me/.small", "me/small-", "me/small.git", f"me/{'x' * 97}"])
def test_a_name_that_the_hub_refuses_is_refused_before_anything_is_asked(model, repo):
    with pytest.raises(UsageError, match="the hub takes no such name; it has letters A to Z, digits and single - _"):
        plan_upload(model, repo)


def test_a_licence_of_another_name_is_called_by_it(model):
    with pytest.raises(UsageError, match=r"--licence other: the hub asks for its name; write 'license_name: NAME' into the front matter of .*README\.md"):
        plan_upload(model, "me/small-ja", licence="other")
    path = model / "README.md"
    path.write_text(path.read_text(encoding="utf-8").replace("license: apache-2.0", "license: other\nlicense_name: house-1.0"), encoding="utf-8")
    card = plan_upload(model, "me/small-ja").texts["README.md"]
    assert (ModelCard(card).data.license, ModelCard(card).data.license_name) == ("other", "house-1.0")
    assert "This model is under the licence of its base: house-1.0." in card


def test_a_card_that_the_hub_refuses_says_why(model):
    with hub_server() as server:
        server.card_error = '"base_model" must be an id'
        done = run(server, str(model), "--repo", "me/small-ja")
    assert done.returncode == 1
    assert 'me/small-ja: cannot be sent (Invalid metadata in README.md. "base_model" must be an id)' in done.stderr


def test_what_is_no_model(model, tmp_path, capsys):
    with pytest.raises(InputError, match=r"no config\.json here"):
        plan_upload(tmp_path, "me/small-ja")
    assert main(["export", "hub", str(tmp_path), "--repo", "me/x", "--dry-run"]) == 3
    assert "no config.json here" in capsys.readouterr().err


def test_what_the_run_measured_stands_in_the_card_by_itself(tmp_path, model, scores):
    final = tmp_path / "run" / "stages" / "model" / "final"
    final.parent.mkdir(parents=True)
    model.rename(final)
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    stages = [{"id": "eval", "kind": "evaluate", "models": ["base", "model"]}, {"id": "later", "kind": "evaluate", "models": ["model"]}]
    (tmp_path / "run" / "resolved.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    adapted = tmp_path / "run" / "stages" / "eval" / "final" / "adapted"
    adapted.parent.mkdir(parents=True)
    scores.rename(adapted)
    card = plan_upload(final, "me/small-ja").texts["README.md"]
    assert "ja/jcommonsenseqa@jp-adapt/3-shot/accuracy" in card
    assert card.count("## Use") == 1


def test_use_of_a_folder_is_not_repeated_in_the_card(model):
    from jp_adapt.export.hub_card import facts_of

    path = model / "README.md"
    path.write_text(path.read_text(encoding="utf-8") + "\n## Use\n\nfrom_pretrained\n", encoding="utf-8")
    assert facts_of(model) == FACTS
