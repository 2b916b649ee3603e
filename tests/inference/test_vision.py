"""Pictures as ids behind the vocabulary: the engine's figures are those of the vision-language model itself."""

from __future__ import annotations

import io
import shutil

import pytest
import torch
import transformers

from jp_adapt.benchmarks.pictures import MARK, Picture
from jp_adapt.core.errors import InputError
from jp_adapt.inference.backend import Ask
from jp_adapt.inference.model_folder import load_model
from jp_adapt.inference.text_side import ChatFormat, text_side
from jp_adapt.inference.vision import SeeingEmbedding
from tests.seeing import AROUND, IMAGE, PIXELS, PLACES, make_seeing

SEEING = ("llava", "llava_next", "idefics3", "smolvlm")


def quiet(done, note):
    pass


def picture(seed, size=(PIXELS, PIXELS)):
    """Noise, as PNG."""
    image = pytest.importorskip("PIL.Image")
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (size[1], size[0], 3), generator=generator, dtype=torch.uint8)
    buffer = io.BytesIO()
    image.fromarray(pixels.numpy()).save(buffer, "PNG")
    return Picture(f"{seed}.png", str(seed) * 64, buffer.getvalue())


@pytest.fixture(scope="module")
def seeing(pico, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeing")
    return {kind: make_seeing(kind, pico, folder / kind, tied=False) for kind in SEEING}


def own_inputs(folder, kind, text, pictures):
    """Ids and pixels of a text as transformers' own processors make them."""
    from PIL import Image

    images = [Image.open(io.BytesIO(entry.data)) for entry in pictures]
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if kind in ("idefics3", "smolvlm"):  # SmolVLM's own processor needs a package for numerals; the text that it makes is the same
        whole = transformers.Idefics3Processor(processor, tokenizer, image_seq_len=4)
        return dict(whole(text=text, images=[images], return_tensors="pt", add_special_tokens=False))
    ids = [token for entry in tokenizer.encode(text) for token in ([entry] * PLACES[kind] if entry == 500 else [entry])]
    return {"input_ids": torch.tensor([ids])} | dict(processor(images=images, return_tensors="pt"))


@pytest.mark.parametrize("kind", SEEING)
def test_likelihoods_and_texts_are_those_of_the_model_itself(kind, seeing):
    backend = load_model(seeing[kind], "float32").backend
    first, second = picture(1), picture(2, (2 * PIXELS, PIXELS) if kind == "idefics3" else (PIXELS, PIXELS))
    prompts = [f"{MARK}It rains in the {MARK}town", f"{MARK}Snow on the hill", "No picture at all"]
    shown = [(first, second), (second,), ()]
    choices = [[" and the sea", " or not at all"]] * 3
    chosen = backend.choose(prompts, choices, "cut", quiet, shown)
    whole = transformers.AutoModelForImageTextToText.from_pretrained(seeing[kind])
    with torch.inference_mode():
        for prompt, pictures, entry in zip(prompts[:2], shown, chosen, strict=False):
            for choice, nats in zip(choices[0], entry.log_likelihoods, strict=True):
                asked = own_inputs(seeing[kind], kind, prompt.replace(MARK, IMAGE) + choice, pictures)
                length = own_inputs(seeing[kind], kind, prompt.replace(MARK, IMAGE), pictures)["input_ids"].shape[1]
                logits = whole(**asked).logits[0].log_softmax(dim=-1)
                ids = asked["input_ids"][0]
                expected = sum(float(logits[at - 1, ids[at]]) for at in range(length, len(ids)))
                assert nats == pytest.approx(expected, abs=2e-5)
        asks = [Ask(prompt, max_tokens=6, start="nothing", pictures=pictures) for prompt, pictures in zip(prompts, shown, strict=True)]
        written = backend.write(asks, quiet)
        for prompt, pictures, answer in zip(prompts[:2], shown, written, strict=False):
            inputs = own_inputs(seeing[kind], kind, prompt.replace(MARK, IMAGE), pictures)
            out = whole.generate(**inputs, max_new_tokens=6, do_sample=False)[0, inputs["input_ids"].shape[1] :]
            assert answer.text == transformers.AutoTokenizer.from_pretrained(seeing[kind]).decode(out, skip_special_tokens=True)
    blind = backend.write([Ask(f"{MARK}Snow", max_tokens=6, pictures=(picture(seed),)) for seed in (1, 2)], quiet)
    assert backend.choose(prompts[1:2], choices[:1], "cut", quiet, [(first,)])[0].log_likelihoods != chosen[1].log_likelihoods, "another picture, other figures"
    assert len(blind) == 2


def test_a_picture_of_several_questions_is_looked_at_once(seeing):
    backend = load_model(seeing["llava"], "float32").backend
    looked = []
    own = backend.eyes._ids
    backend.eyes._ids = lambda entry: looked.append(entry.name) or own(entry)
    backend.write([Ask(f"{MARK}{text}", max_tokens=2, pictures=(picture(1),)) for text in ("Snow", "Rain", "Wind")], quiet)
    assert looked == ["1.png"]
    assert backend.eyes.embedding.length == 0, "nothing is kept after the answers"


def test_texts_and_pictures_must_agree(seeing, pico):
    backend = load_model(seeing["llava"], "float32").backend
    with pytest.raises(InputError, match="a text shows 2 pictures, and there are 1; '<image>' may stand in it for pictures alone"):
        backend.write([Ask(f"{MARK}What is an {IMAGE}?", max_tokens=2, pictures=(picture(1),))], quiet)
    with pytest.raises(InputError, match=r"picture x.png: cannot be read \(cannot identify image file"):
        backend.write([Ask(MARK, max_tokens=2, pictures=(Picture("x.png", "0", b"not a picture"),))], quiet)
    with pytest.raises(InputError, match="these items have pictures, and this model does not see"):
        load_model(pico, "float32").backend.write([Ask(MARK, max_tokens=2, pictures=(picture(1),))], quiet)


def test_a_mllama_is_not_asked(pico, tmp_path):
    folder = make_seeing("mllama", pico, tmp_path / "mllama")
    with pytest.raises(InputError, match="a Mllama has cross-attention between the layers of its Llama; it can be merged, and neither trained nor asked here"):
        load_model(folder, "float32")


def test_ids_behind_the_vocabulary_are_rows_that_were_seen():
    words = torch.nn.Embedding(3, 2)
    embedding = SeeingEmbedding(words, 3)
    assert embedding.add(torch.ones(1, 2)) == [3]
    assert embedding.add(torch.full((2, 2), 5.0)) == [4, 5]
    rows = embedding(torch.tensor([[0, 5, 3, 2]]))[0]
    assert torch.equal(rows, torch.stack([words.weight[0], torch.full((2,), 5.0), torch.ones(2), words.weight[2]]))
    embedding.clear()
    assert embedding.add(torch.zeros(1, 2)) == [3]


PARTS = (
    "{% for m in messages %}{% for part in m['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)
TEXTS = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}"


@pytest.mark.parametrize(("template", "parts", "expected"), [(PARTS, True, f"a{IMAGE}b"), (TEXTS, False, f"user: a{MARK}b")])
def test_a_chat_template_gets_texts_and_pictures_in_parts_where_it_takes_them(template, parts, expected, seeing, tmp_path):
    folder = shutil.copytree(seeing["llava"], tmp_path / "vlm")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    chat = text_side(folder).chat
    assert isinstance(chat, ChatFormat)
    assert chat.parts is parts
    assert chat.render([], f"a{MARK}b") == expected


def test_tokens_around_a_picture_are_those_of_the_tokenizer(seeing):
    eyes = load_model(seeing["smolvlm"], "float32").backend.eyes
    ids = eyes.seen(eyes.encode(eyes.text(f"a{MARK}b")), [picture(3)])
    assert [eyes.encode(token)[0] in ids for token in AROUND[:2]] == [True, True]
