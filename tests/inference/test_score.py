"""Scores equal what transformers computes one text at a time."""

from __future__ import annotations

import math

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from jp_adapt.inference.bits import score_texts
from jp_adapt.inference.choices import choice_requests
from jp_adapt.inference.samples import continue_prompts
from jp_adapt.inference.score import log_likelihoods
from jp_adapt.inference.trie import Request
from jp_adapt.model.causal import load_causal

TEXTS = ["The rain had stopped.", "a", "今日は雨。", "One two three four five six seven eight nine ten, and so on until the end of the line."]


@pytest.fixture(scope="module")
def scored(pico):
    tokenizer = Tokenizer.from_file(str(pico / "tokenizer.json"))
    return load_causal(pico, torch.float32), AutoModelForCausalLM.from_pretrained(pico), lambda text: tokenizer.encode(text).ids, tokenizer


def reference(model, ids: list[int], first: int) -> float:
    """ln p of ids[first:], one text at a time, full logits in float64."""
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return float(sum(logits[position - 1, ids[position]] for position in range(first, len(ids))))


@pytest.mark.parametrize("batch_tokens", [1, 7, 64, 4096])
def test_batches_change_nothing(scored, monkeypatch, batch_tokens):
    monkeypatch.setattr("jp_adapt.inference.score.PACK_TOKENS", batch_tokens)
    model, plain, encode, _ = scored
    requests = [Request([0, *encode(text)]) for text in TEXTS]
    got = log_likelihoods(model, requests, max_tokens=512)
    for value, request in zip(got, requests, strict=True):
        assert value == pytest.approx(reference(plain, request.ids, 1), abs=1e-4)


def test_windows_score_every_token_once(scored):
    model, plain, encode, _ = scored
    ids = encode(TEXTS[3])
    (got,) = log_likelihoods(model, [Request([0, *ids])], max_tokens=10)
    expected = sum(reference(plain, [0, *ids[start : start + 9]], 1) for start in range(0, len(ids), 9))
    assert got == pytest.approx(expected, abs=1e-4)


def test_bits_per_char_and_byte(scored):
    model, plain, encode, _ = scored
    score = score_texts(model, encode, TEXTS, prefix=0, max_tokens=512)
    bits = -sum(reference(plain, [0, *encode(text)], 1) for text in TEXTS) / math.log(2)
    assert score.bits_per_char == pytest.approx(bits / sum(map(len, TEXTS)), rel=1e-5)
    assert score.bits_per_byte == pytest.approx(bits / sum(len(text.encode()) for text in TEXTS), rel=1e-5)
    assert score.bytes[2] == 15


@pytest.mark.parametrize("max_tokens", [512, 10, 3])
def test_the_end_of_a_document_is_counted_in_bits_alone(scored, max_tokens):
    model, plain, encode, _ = scored
    open_ended = score_texts(model, encode, TEXTS, prefix=0, max_tokens=512)
    score = score_texts(model, encode, TEXTS, prefix=0, end=7, max_tokens=max_tokens)
    assert (score.chars, score.bytes, score.tokens) == (open_ended.chars, open_ended.bytes, [len(encode(text)) for text in TEXTS])
    for index, text in enumerate(TEXTS):
        ids = [*encode(text), 7]
        windows = [[0, *ids[start : start + max_tokens - 1]] for start in range(0, len(ids), max_tokens - 1)]
        assert score.bits[index] == pytest.approx(-sum(reference(plain, window, 1) for window in windows) / math.log(2), abs=1e-3)
        assert score.end_bits[index] == pytest.approx(-reference(plain, windows[-1], len(windows[-1]) - 1) / math.log(2), abs=1e-3)
    assert score.bits_per_end == pytest.approx(sum(score.end_bits) / len(TEXTS))
    assert (open_ended.end_bits, open_ended.bits_per_end) == (None, None)


def test_choices_by_the_likelihood_of_the_whole_text(scored):
    model, plain, encode, _ = scored
    options = ["cat", "a dog", "犬", "the very last one"]
    results = log_likelihoods(model, choice_requests(encode, "Q: which? A: ", options, prefix=0).requests, max_tokens=512)
    whole = [reference(plain, [0, *encode("Q: which? A: " + option)], 1) for option in options]
    assert results.index(max(results)) == whole.index(max(whole))
    differences = [value - results[0] for value in results]
    assert differences == pytest.approx([value - whole[0] for value in whole], abs=1e-4)


def test_a_choice_that_merges_with_the_prompt_moves_the_boundary_and_loses_nothing(scored):
    """`encode` is made to merge the prompt's last character with the first of one choice, as ":\\n" is one token in Llama-3."""
    model, plain, _, _ = scored
    vocabulary = {"A": 1, "B": 2, ":": 3, ":B": 4, "C": 5}

    def encode(text: str) -> list[int]:
        return [
            vocabulary[piece]
            for piece in text.replace(":B", "|").replace("|", " :B ").replace("A", " A ").replace("C", " C ").split()
            for piece in ([piece] if piece in vocabulary else list(piece))
        ]

    item = choice_requests(encode, "A:", ["B", "C"], prefix=0)
    assert item.moved_boundary
    assert log_likelihoods(model, item.requests, max_tokens=512) == pytest.approx([reference(plain, [0, 1, 4], 2), reference(plain, [0, 1, 3, 5], 2)], abs=1e-4)


def test_samples_equal_one_at_a_time_greedy_decoding(scored):
    model, plain, encode, tokenizer = scored
    prompts = ["The rain", "a much longer prompt than the first"]
    got = continue_prompts(model, encode, tokenizer.decode, prompts, prefix=0, max_chars=12, stop_ids=[0])
    for prompt, text in zip(prompts, got, strict=True):
        out = plain.generate(torch.tensor([[0, *encode(prompt)]]), max_new_tokens=36, do_sample=False, eos_token_id=0, pad_token_id=0)
        ids = out[0, 1 + len(encode(prompt)) :].tolist()
        assert text == tokenizer.decode(ids[: ids.index(0)] if 0 in ids else ids)[:12]
