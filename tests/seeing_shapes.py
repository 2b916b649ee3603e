"""A small model that really sees: SmolLM2 as the language part of a LLaVA, taught here to answer questions about the pictures of `drawn_shapes`.

`python -m tests.seeing_shapes OUT` writes the model to OUT/model, pictures that it never saw, with their questions, as benchmarks to OUT/heldout and OUT/dev,
and OUT/stages.yaml, a recipe with every stage.
The language part stays as it is, to the bit. Tower and projector first learn to name a picture: what comes out of the projector is to be the embeddings of
words ("赤い丸が3つ"), for which the language part is not needed. Then the projector alone learns from answers, through the language part.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoModelForCausalLM, LlavaConfig, LlavaForConditionalGeneration

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.benchmarks.pictures import MARK
from jp_adapt.evaluation.prompts import Prompt, build_prompts
from jp_adapt.inference.bits import answer_request
from jp_adapt.inference.text_side import text_side, write_text_side
from tests import drawn_shapes
from tests.perf.export_models import smollm2
from tests.seeing import IMAGE, add_tokens, preprocessor

PATCH = 16
PLACES = (drawn_shapes.SIZE // PATCH) ** 2  # of a picture in a text
TOWER = {"model_type": "clip_vision_model", "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4}
TOWER |= {"image_size": drawn_shapes.SIZE, "patch_size": PATCH, "projection_dim": 128}
START = "<|endoftext|>"  # before every document, as in the quickstart
SHOWN, DEV, HELDOUT = (10_000, 1600), (2000, 20), (500, 100)  # seed and number of pictures; those of `ja-vqa-40` are held out, too
STAGES = Path(__file__).with_suffix(".yaml")
NAMING, ANSWERING = (700, 32), (40, 8)  # steps, and pictures or questions of a step
RATES = 2e-3, 1e-3


@dataclass(frozen=True)
class Lesson:
    """A question about a picture with its answer: ids, of which the last `answer` are learned, and pixels [3, SIZE, SIZE]."""

    ids: list[int]
    answer: int
    pixels: Tensor


def make_blind(base: Path, folder: Path, seed: int = 0) -> Path:
    """The Llama of a folder as the language part of a LLaVA whose tower and projector are random."""
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    rows, tied = plain.config.vocab_size, bool(plain.config.tie_word_embeddings)
    torch.manual_seed(seed)
    parts = {"vision_config": TOWER, "text_config": plain.config.to_dict() | {"vocab_size": rows + 1}, "vision_feature_layer": -1}
    whole = LlavaForConditionalGeneration(LlavaConfig(**parts, image_token_index=rows, image_seq_length=PLACES, tie_word_embeddings=tied)).float()
    longer = {name: torch.cat([value, value.mean(0, keepdim=True)]) if len(value) == rows else value for name, value in plain.state_dict().items()}
    whole.lm_head.load_state_dict({"weight": longer.pop("lm_head.weight")})
    whole.model.language_model.load_state_dict({name.removeprefix("model."): value for name, value in longer.items()})
    whole.generation_config = plain.generation_config
    whole.save_pretrained(folder)
    add_tokens(base, folder, [IMAGE])
    if (base / "chat_template.jinja").is_file():
        shutil.copy(base / "chat_template.jinja", folder)
    processor = {"processor_class": "LlavaProcessor", "image_token": IMAGE, "patch_size": PATCH, "vision_feature_select_strategy": "default"}
    (folder / "processor_config.json").write_text(json.dumps(processor | {"num_additional_image_tokens": 1}), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor("llava", drawn_shapes.SIZE)), encoding="utf-8")
    write_text_side(folder, START)
    return folder


def teach(folder: Path, shown: tuple[int, int] = SHOWN, naming: tuple[int, int] = NAMING, answering: tuple[int, int] = ANSWERING) -> list[list[float]]:
    """Teach the model of a folder, which is written over, to see `shown` pictures (seed and number); the losses of both lessons, step by step.

    `naming`, `answering`: steps, and pictures or questions of a step.
    """
    whole = LlavaForConditionalGeneration.from_pretrained(folder).requires_grad_(False)
    tower, projector = whole.model.vision_tower, whole.model.multi_modal_projector
    lessons = lessons_of(folder, questions_of(*shown))
    draw = random.Random(shown[0])
    pixels, names = torch.stack([lesson.pixels for lesson in lessons[:: len(drawn_shapes.QUESTIONS)]]), names_of(folder, *shown)
    embedded = whole.get_input_embeddings()(names)

    def naming_loss() -> Tensor:
        some = draw.sample(range(len(names)), naming[1])
        rows = torch.stack(list(whole.get_image_features(pixels[some]).pooler_output))
        return nn.functional.mse_loss(rows, embedded[some]) / embedded.var()

    losses = [learn([*tower.parameters(), *projector.parameters()], naming_loss, naming[0], RATES[0])]
    tower.requires_grad_(False)
    losses.append(learn(list(projector.parameters()), lambda: answer_loss(whole, draw.sample(lessons, answering[1])), answering[0], RATES[1]))
    whole.save_pretrained(folder)
    return losses


def learn(parameters: Sequence[nn.Parameter], loss: Callable[[], Tensor], steps: int, rate: float) -> list[float]:
    """The losses of AdamW, warmed up over a tenth of the steps and then down to nothing."""
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)
    plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(10 * (step + 1) / steps, 1.0) * (1 - step / steps))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        plan.step()
        losses.append(float(value.detach()))
    return losses


def answer_loss(whole: Any, batch: Sequence[Lesson]) -> Tensor:
    """Mean nats of the tokens of the answers. Texts are padded on the left, so that logits are made for the answers alone."""
    longest, kept = max(len(lesson.ids) for lesson in batch), max(lesson.answer for lesson in batch) + 1
    ids = torch.tensor([[0] * (longest - len(lesson.ids)) + lesson.ids for lesson in batch])
    mask = torch.tensor([[0] * (longest - len(lesson.ids)) + [1] * len(lesson.ids) for lesson in batch])
    targets = torch.tensor([[-100] * (kept - 1 - lesson.answer) + lesson.ids[-lesson.answer :] for lesson in batch])
    pixels = torch.stack([lesson.pixels for lesson in batch])
    logits = whole(input_ids=ids, attention_mask=mask, pixel_values=pixels, logits_to_keep=kept, use_cache=False).logits
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten())


def questions_of(seed: int, count: int) -> list[Prompt]:
    """The questions about pictures of `drawn_shapes.drawn`, three for each, as an evaluation asks them."""
    with tempfile.TemporaryDirectory() as folder:
        return build_prompts(load_benchmark(str(drawn_shapes.write_benchmark(Path(folder), "shapes", seed, count))), "jp-adapt")[1]


def names_of(folder: Path, seed: int, count: int) -> Tensor:
    """The words for each picture, as ids [count, PLACES]; line feeds fill them up."""
    encode = text_side(folder).tokenizer.encode
    texts = [encode(f"{colour}い{shape}が{number}つ") for shape, colour, number in drawn_shapes.drawn(seed, count)]
    return torch.tensor([(ids + encode("\n") * PLACES)[:PLACES] for ids in texts])


def lessons_of(folder: Path, prompts: Sequence[Prompt]) -> list[Lesson]:
    """Questions of a benchmark as ids of a model's folder, each answer with the end of its line."""
    side, processor = text_side(folder), AutoImageProcessor.from_pretrained(folder)
    image = side.tokenizer.runtime.token_to_id(IMAGE)
    pixels: dict[str, Tensor] = {}
    results = []
    for prompt in prompts:
        (picture,) = prompt.pictures
        if picture.sha256 not in pixels:
            pixels[picture.sha256] = processor(Image.open(BytesIO(picture.data)).convert("RGB"), return_tensors="pt")["pixel_values"][0]
        assert prompt.item.answer is not None
        answer = prompt.choices[prompt.item.answer] + "\n"
        request = answer_request(side.tokenizer.encode, prompt.text.replace(MARK, IMAGE), answer, prefix=side.starts.document)
        ids = [token for entry in request.ids for token in ([entry] * PLACES if entry == image else [entry])]
        results.append(Lesson(ids, len(request.ids) - request.first, pixels[picture.sha256]))
    return results


def write_stages(out: Path) -> Path:
    """The recipe for OUT/model, and what it reads."""
    drawn_shapes.write_benchmark(out / "dev", "shapes", *DEV)
    recipe = out / "stages.yaml"
    recipe.write_text(STAGES.read_text(encoding="utf-8").replace("../recipes", str(STAGES.parents[1] / "recipes")), encoding="utf-8")
    return recipe


def main(out: Path) -> None:
    start = time.process_time()
    folder = make_blind(smollm2(), out / "model")
    declaration = drawn_shapes.write_benchmark(out / "heldout", "shapes", *HELDOUT)
    recipe = write_stages(out)
    naming, answering = teach(folder)
    print(f"{folder}: naming {naming[0]:.3f} -> {naming[-1]:.3f}, answers {answering[0]:.2f} -> {answering[-1]:.2f} nats; {time.process_time() - start:.0f} s")
    print(f"jp-adapt eval {folder} --benchmarks {declaration},quickstart/ja-vqa-40 --dtype float32")
    print(f"jp-adapt run {recipe} --out {out / 'run'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
