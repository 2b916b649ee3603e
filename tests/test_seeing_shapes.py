"""The model that sees drawn shapes, around a small random Llama: what learns, what stays, and who can ask it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor, LlavaForConditionalGeneration

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.benchmarks.pictures import MARK
from jp_adapt.cli.main import main
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.evaluation.prompts import build_prompts
from jp_adapt.inference.backend import Ask
from jp_adapt.inference.model_folder import load_model
from tests import drawn_shapes, seeing_shapes
from tests.seeing import IMAGE

SHOWN = (1000, 12)  # seed and number of pictures


@dataclass(frozen=True)
class Taught:
    """A model that was shown nothing, one that was asked eight questions, and one that was asked more, with the losses of its lessons."""

    blind: Path
    once: Path
    often: Path
    losses: list[list[float]]


@pytest.fixture(scope="module")
def taught(pico: Path, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    folder = tmp_path_factory.mktemp("shapes")
    blind = seeing_shapes.make_blind(pico, folder / "blind")
    once, often = (shutil.copytree(blind, folder / name) for name in ("once", "often"))
    seeing_shapes.teach(once, SHOWN, (20, 8), (1, 8))
    return Taught(blind, once, often, seeing_shapes.teach(often, SHOWN, (20, 8), (20, 8)))


def loss_of_answers(folder: Path) -> float:
    """On all questions about the pictures that were shown."""
    whole, lessons = LlavaForConditionalGeneration.from_pretrained(folder), seeing_shapes.lessons_of(folder, seeing_shapes.questions_of(*SHOWN))
    with torch.inference_mode():
        return float(seeing_shapes.answer_loss(whole, lessons))


def test_both_lessons_lower_their_loss(taught: Taught) -> None:
    naming, answering = taught.losses
    assert naming[-1] < 0.7 * naming[0]
    assert len(answering) == 20
    assert loss_of_answers(taught.often) < loss_of_answers(taught.once) - 0.004  # a random language part cannot be told much


def test_what_learns_and_what_stays(taught: Taught, pico: Path) -> None:
    blind, once, often = (load_file(folder / "model.safetensors") for folder in (taught.blind, taught.once, taught.often))
    for name, tensor in load_file(pico / "model.safetensors").items():
        assert torch.equal(often["language_model." + name][: len(tensor)], tensor), name
    parts = {part: [name for name in often if name.startswith(part)] for part in ("language_model.", "vision_tower.", "multi_modal_projector.")}
    assert sum(map(len, parts.values())) == len(often)
    assert all(torch.equal(often[name], blind[name]) for name in parts["language_model."])
    assert not all(torch.equal(often[name], blind[name]) for name in parts["vision_tower."])
    assert all(torch.equal(often[name], once[name]) for name in parts["vision_tower."]), "answers teach the projector alone"
    assert not any(torch.equal(often[name], once[name]) for name in parts["multi_modal_projector."])


def test_it_is_asked_as_any_other_model(taught: Taught, tmp_path: Path) -> None:
    declaration = drawn_shapes.write_benchmark(tmp_path, "shapes", 500, 4)
    (score,) = evaluate(taught.often, tmp_path / "out", benchmarks=str(declaration), dtype="float32").benchmarks
    assert (score.items, set(score.groups)) == (12, {"色", "形", "数"})


def test_transformers_writes_the_same_about_a_picture(taught: Taught) -> None:
    _, prompts = build_prompts(load_benchmark("quickstart/ja-vqa-40"), "jp-adapt")
    backend = load_model(taught.often, "float32").backend
    (written,) = backend.write([Ask(prompts[0].text, max_tokens=4, start="document", pictures=prompts[0].pictures)], lambda done, note: None)
    processor = AutoProcessor.from_pretrained(taught.often)
    picture = Image.open(BytesIO(prompts[0].pictures[0].data)).convert("RGB")
    inputs = processor(images=[picture], text=seeing_shapes.START + prompts[0].text.replace(MARK, IMAGE), return_tensors="pt")
    assert int((inputs["input_ids"] == 500).sum()) == seeing_shapes.PLACES
    whole = LlavaForConditionalGeneration.from_pretrained(taught.often)
    out = whole.generate(**inputs, max_new_tokens=4, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert written.text == processor.tokenizer.decode(out, skip_special_tokens=True)


def test_the_recipe_for_it_holds(taught: Taught, tmp_path: Path) -> None:
    shutil.copytree(taught.often, tmp_path / "model")
    assert main(["check", str(seeing_shapes.write_stages(tmp_path))]) == 0
