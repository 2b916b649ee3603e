"""`jp-adapt plan` from the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jp_adapt.cli.main import main
from jp_adapt.model import this_machine
from tests.recipes import write_small_recipe


@pytest.fixture(scope="module")
def recipe(pico, tmp_path_factory):
    return write_small_recipe(tmp_path_factory.mktemp("plan"), pico)


def plan(capsys, *arguments):
    assert main(["plan", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_names_every_training_stage_and_its_figures(recipe, capsys):
    result = plan(capsys, recipe, "--device", "a100-40g", "--price", 2)
    rows, cpt = result["stages"]
    assert (rows["id"], rows["kind"], rows["trainable"]) == ("rows", "rows", 60 * 32)
    assert cpt["trainable"] > rows["trainable"]
    assert cpt["tokens"] == 2500
    assert cpt["tokens_known"]
    assert cpt["steps"] == 20
    assert cpt["fits"]
    assert result["fits"]
    assert sum(cpt["memory"].values()) == pytest.approx(cpt["bytes"])
    assert result["cost"] == pytest.approx(2 * result["device_hours"])


def test_people_read_the_same(recipe, capsys):
    assert main(["plan", str(recipe), "--device", "cpu-2core", "--micro-rows", "1"]) == 0
    out = capsys.readouterr().out
    for words in (
        "small on cpu-2core (",
        "rows (rows)",
        "cpt (pretrain)",
        "optimizer",
        "  memory                size\n  weights            0.00 GB\n",
        "\n  one device         0.6",
        "\n  fits in 16.00 GB with 1 of its 2 sequences at once",
        "in all:",
        "at the speed that was measured",
    ):
        assert words in out


def test_texts_and_weights_need_not_be_here(recipe, pico, tmp_path, capsys):
    (tmp_path / "config.json").write_bytes((pico / "config.json").read_bytes())
    settings = ["-s", f"base={{path: {tmp_path}}}", "-s", "sources.ja.path=/nowhere.jsonl"]
    assert plan(capsys, recipe, *settings)["stages"][0]["tokens"] == 2500
    unknown = plan(capsys, recipe, *settings, "-s", "stages.cpt.budget={epochs: 1}")["stages"][1]
    assert not unknown["tokens_known"]


def test_a_hub_model_that_is_known_and_one_that_is_not(recipe, capsys):
    hub = "base={model: %s, revision: " + "a" * 40 + "}"
    big = plan(capsys, recipe, "--device", "h100-80g", "-s", hub % "meta-llama/Llama-3.1-70B-Instruct")
    assert big["base"]["parameters"] == 70_553_706_496
    assert not big["fits"]
    assert big["stages"][1]["would_fit_with"][-1]["fits"]
    assert main(["plan", str(recipe), "-s", hub % "meta-llama/Llama-9"]) == 3
    assert "the sizes of meta-llama/Llama-9 are not known here" in capsys.readouterr().err


def test_a_wrong_device_and_a_wrong_number(recipe, capsys):
    assert main(["plan", str(recipe), "--device", "h100-80gb"]) == 2
    assert "unknown (did you mean 'h100-80g'?); devices: h100-80g," in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["plan", str(recipe), "--devices", "0"])
    assert stopped.value.code == 2


def test_it_imports_no_torch(recipe):
    code = f"import sys; from jp_adapt.cli.main import main; main(['plan', {str(recipe)!r}]); sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "in all:" in done.stdout


def test_the_cost_names_its_currency_and_the_speed_is_said(recipe, capsys):
    assert main(["plan", str(recipe), "--device", "a100-40g", "--devices", "8", "--price", "3000000", "--currency", "JPY"]) == 0
    out = capsys.readouterr().out
    assert "small on 8 x a100-40g (" in out
    assert re.search(r"in all: .* (min|s), 0.0 device-hours, cost [\d.,]+ JPY, at 35% of the peak \(assumed\)", out)
    assert plan(capsys, recipe, "--device", "a100-40g", "--price", 2)["currency"] == "USD"
    assert plan(capsys, recipe, "--device", "a100-40g")["currency"] is None


def test_the_machine_at_hand_is_the_default(recipe, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")  # no nvidia-smi
    device = plan(capsys, recipe)["device"]
    assert device["name"] == f"cpu-{len(os.sched_getaffinity(0))}core"
    assert device["memory_bytes"] <= psutil.virtual_memory().total
    assert device["source"].startswith("this machine, at ")
    monkeypatch.setattr(this_machine, "CPU_INFO", Path("/nowhere"))
    assert main(["plan", str(recipe)]) == 0
    assert "at a speed that is estimated, not measured" in capsys.readouterr().out
