"""What of a DeepSpeed configuration is passed on, and what is refused, with the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.core import extras
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.pipeline.inputs import check_inputs
from jp_adapt.recipe.deepspeed import read_deepspeed
from jp_adapt.recipe.load import load_recipe

# As Hugging Face's documentation has it for its Trainer.
TRAINERS = {
    "bf16": {"enabled": "auto"},
    "fp16": {"enabled": False, "loss_scale": 0},
    "optimizer": {"type": "AdamW", "params": {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}},
    "zero_optimization": {"stage": 3, "offload_optimizer": {"device": "cpu", "pin_memory": True}, "reduce_bucket_size": "auto", "overlap_comm": True},
    "zero_force_ds_cpu_optimizer": False,
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "steps_per_print": 2000,
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "wall_clock_breakdown": False,
}


def written(path: Path, config: Any) -> Path:
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def test_what_says_auto_is_left_to_the_recipe_and_the_rest_is_passed_on(tmp_path):
    assert read_deepspeed(written(tmp_path / "ds.json", TRAINERS)) == {
        "zero_optimization": {"stage": 3, "offload_optimizer": {"device": "cpu", "pin_memory": True}, "overlap_comm": True},
        "steps_per_print": 2000,
        "wall_clock_breakdown": False,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gradient_clipping": 0.5}, r"'gradient_clipping' is what a recipe says \(optimizer.clip_norm of a stage\); take it out, or write \"auto\""),
        ({"train_batch_size": 32}, r"'train_batch_size' is what a recipe says \(batch_tokens of a stage\)"),
        ({"gradient_accumulation_steps": 0}, r"'gradient_accumulation_steps' is what a recipe says"),
        ({"optimizer": {"type": "AdamW", "params": {"lr": 1e-4}}}, r"'optimizer' is what a recipe says"),
        ({"optimizer": {"type": "Lion"}}, r"'optimizer' is what a recipe says"),
        ({"scheduler": {"type": "WarmupLR", "params": {"warmup_num_steps": "auto"}}}, r"'scheduler' is what a recipe says \(optimizer.schedule"),
        ({"bf16": {"enabled": True}}, r"'bf16' is what a recipe says \(precision\)"),
        ({"fp16": {"enabled": True}}, r"'fp16' is what a recipe says \(precision\)"),
        ({"zero_optimisation": {}}, r"'zero_optimisation' is not passed on \(did you mean 'zero_optimization'\?\)"),
        ({"tensor_parallel": {"autotp_size": 2}}, r"'tensor_parallel' is not passed on; keys that are: zero_optimization, steps"),
        ({"zero_optimization": {"stage": 0}}, r"zero_optimization.stage is 0; give 1, 2 or 3"),
        ({"zero_optimization": "auto"}, r"zero_optimization.stage is None; give 1, 2 or 3"),
        (
            {"zero_optimization": {"stage": 3, "zero_quantized_weights": True}},
            r"zero_optimization.zero_quantized_weights is not passed on, take it out; keys that",
        ),
        ({"zero_optimization": {"stage": 2, "round_robin_gradients": True}}, r"zero_optimization.round_robin_gradients is not passed on"),
        ({"zero_optimization": {"stage": 2, "overlap_com": True}}, r"zero_optimization.overlap_com .* \(did you mean 'overlap_comm'\?\)"),
        ({"zero_optimization": {"stage": 2, "compute_grad_norm": False}}, r"zero_optimization.compute_grad_norm is not passed on"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}}, r"zero_optimization.offload_param.device is 'nvme'; only cpu was tried"),
        (
            {"zero_optimization": {"stage": 3, "offload_optimizer": {"device": "cpu", "ratio": 0.3}}},
            r"zero_optimization.offload_optimizer.ratio is 0.3; only 1",
        ),
    ],
)
def test_what_says_otherwise_than_the_recipe_is_refused_with_its_key(change, message, tmp_path):
    with pytest.raises(UsageError, match=rf"ds\.json: {message}"):
        read_deepspeed(written(tmp_path / "ds.json", TRAINERS | change))


def test_no_object_and_no_file_are_said(tmp_path):
    with pytest.raises(UsageError, match="a DeepSpeed configuration is a JSON object"):
        read_deepspeed(written(tmp_path / "ds.json", [1]))
    with pytest.raises(InputError, match="no such file"):
        read_deepspeed(tmp_path / "none.json")


def test_a_recipe_names_it_beside_itself_and_finds_its_mistakes_at_its_line(folder, tmp_path):
    recipe = folder / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace("stages:", "distributed: deepspeed\ndeepspeed: zero.json\nstages:", 1), encoding="utf-8")
    line = text[: text.index("stages:")].count("\n") + 2
    written(folder / "zero.json", {"zero_optimization": {"stage": 2}})
    assert load_recipe(recipe).recipe.deepspeed == str(folder / "zero.json")
    with pytest.raises(UsageError, match="go together; give both, or none"):
        load_recipe(recipe, ["distributed=fsdp"])
    with pytest.raises(UsageError) as error:
        load_recipe(recipe, ["precision=float16", "stages.cpt.compile=true", "stages.cpt.spike_factor=2"])
    for part in ("float16 scales its losses", "compile and distributed: deepspeed were not tried", "a spike is not passed over with distributed: deepspeed"):
        assert part in str(error.value)
    written(folder / "zero.json", {"zero_optimization": {"stage": 2}, "gradient_clipping": 1.0})
    with pytest.raises(UsageError, match=rf"recipe\.yaml:{line}: .*zero\.json: 'gradient_clipping' is what a recipe says"):
        load_recipe(recipe)
    (folder / "zero.json").unlink()
    with pytest.raises(InputError, match=rf"recipe\.yaml:{line}: .*zero\.json: no such file"):
        load_recipe(recipe)
    assert load_recipe(recipe, need_files=False).recipe.distributed == "deepspeed"


def test_a_file_without_distributed_deepspeed_is_not_passed_over(folder):
    with pytest.raises(UsageError, match=r"distributed: deepspeed and deepspeed: FILE\.json go together"):
        load_recipe(folder / "recipe.yaml", ["deepspeed=zero.json"])


def test_without_the_package_nothing_begins(folder, monkeypatch):
    config = written(folder / "zero.json", {"zero_optimization": {"stage": 2}})
    loaded = load_recipe(folder / "recipe.yaml", ["distributed=deepspeed", f"deepspeed={config}"])
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"distributed: deepspeed: deepspeed is not installed; pip install 'jp-adapt\[deepspeed\]', or use distributed: fsdp"):
        check_inputs(loaded)
