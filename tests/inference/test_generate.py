"""Continuations of many prompts are those of each prompt alone, whatever rows they share and whatever fails on the way."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from jp_adapt.inference import generate as module
from jp_adapt.inference.answer import Continuation
from jp_adapt.inference.draw import Draw
from jp_adapt.inference.generate import Report, generate
from jp_adapt.model.causal import CausalModel, load_causal

SHOTS = [7, 8, 9] * 30


@pytest.fixture(scope="module")
def tokenizer(pico) -> Tokenizer:
    return Tokenizer.from_file(str(pico / "tokenizer.json"))


@pytest.fixture(scope="module", params=["pico", "pico_untied"])
def models(request):
    """Ours, and what transformers loads from the same folder."""
    folder = request.getfixturevalue(request.param)
    return load_causal(folder, torch.float32), AutoModelForCausalLM.from_pretrained(folder)


def alone(plain, ids: list[int], given: list[int]) -> list[int]:
    """What a full forward pass over a prompt and its answer finds most probable after the prompt, after the answer's first token, and so on to its end."""
    with torch.inference_mode():
        return plain(torch.tensor([[*ids, *given]]), use_cache=False).logits[0, len(ids) - 1 :].argmax(dim=1).tolist()


def words(ids: list[int]) -> str:
    return "".join(f"{token} " for token in ids)


def tokens(text: str) -> list[int]:
    return [int(word) for word in text.split()]


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_as_each_prompt_alone(models, monkeypatch, rows):
    model, plain = models
    monkeypatch.setattr(module, "MAX_ROWS", rows)
    monkeypatch.setattr(module, "PREFILL_TOKENS", 4)
    prompts = st.lists(st.integers(1, 4), min_size=1, max_size=14)

    @settings(max_examples=10, deadline=None)
    @given(requests=st.lists(st.builds(Continuation, prompts, st.integers(0, 9)), max_size=7))
    def check(requests):
        stop_ids = [3, 250]
        done = []
        got = generate(model, requests, words, stop_ids=stop_ids, advance=lambda count, note: done.append(count))
        for request, result in zip(requests, got, strict=True):
            given = tokens(result.text)
            expected = alone(plain, request.ids, given)
            assert given == expected[:-1]
            assert result.tokens == len(given)
            assert result.finish == ("length" if len(given) == request.max_tokens else "eos")
            assert result.finish == "length" or expected[-1] in stop_ids
            assert not set(given) & set(stop_ids)
        assert not done or done[-1] == len(requests)

    check()


def test_shared_prefixes_go_through_the_model_once(models):
    model, plain = models
    requests = [Continuation([*SHOTS, question, 5], 3 + question % 9) for question in range(10, 50)]
    report = Report()
    got = generate(model, requests, words, stop_ids=[], report=report)
    assert report.prefilled_tokens == len(SHOTS) + 2 * 40
    assert report.decoded_tokens == sum(request.max_tokens - 1 for request in requests)
    for request, result in list(zip(requests, got, strict=True))[::7]:
        given = tokens(result.text)
        assert given == alone(plain, request.ids, given)[:-1]
        assert len(given) == request.max_tokens


def test_a_stop_string_across_tokens_ends_the_text_before_it(models, tokenizer):
    model, _ = models
    ids = [0, *tokenizer.encode("The rain").ids]
    decode = lambda given: tokenizer.decode(given, skip_special_tokens=False)  # noqa: E731
    first, whole = (generate(model, [Continuation(ids, length)], decode, stop_ids=[])[0].text for length in (3, 20))
    stop = whole[len(first) - 1 : len(first) + 1]  # the last character of one token and the first of the next
    (got,) = generate(model, [Continuation(ids, 20, ("never written", stop))], decode, stop_ids=[])
    assert got.text == whole[: whole.index(stop)]
    assert got.finish == "stop"
    assert got.tokens < 20


def test_a_budget_in_characters_waits_for_whole_ones(models):
    """Three tokens make one character here: after the first two of them, it decodes to U+FFFD."""
    model, _ = models
    decode = lambda given: bytes(byte for byte in ("雨" * 9).encode()[: len(given)]).decode(errors="replace")  # noqa: E731
    (got,) = generate(model, [Continuation([1, 2], 30, (), 2)], decode, stop_ids=[])
    assert (got.text, got.tokens, got.finish) == ("雨雨", 6, "length")


def test_a_budget_in_characters_holds_for_halves_of_characters_too(models):
    model, _ = models
    (got,) = generate(model, [Continuation([1, 2], 7, (), 3)], lambda given: "\ufffd" * len(given), stop_ids=[])
    assert (got.text, got.tokens, got.finish) == ("\ufffd" * 3, 7, "length")


def test_memory_that_runs_out_halves_the_rows_and_loses_nothing(models, monkeypatch):
    model, _ = models
    requests = [Continuation([*SHOTS, question], 2 + question % 7) for question in range(10, 40)]
    monkeypatch.setattr(module, "MAX_ROWS", 16)
    expected = generate(model, requests, words, stop_ids=[])
    forward, calls = CausalModel.forward, []

    def fails(self, ids, *rest, **named):
        calls.append(ids.shape)
        if len(calls) == 3 or (len(calls) > 4 and named["memory"].rows > 5):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, ids, *rest, **named)

    monkeypatch.setattr(CausalModel, "forward", fails)
    report = Report()
    assert generate(model, requests, words, stop_ids=[], report=report) == expected
    assert report.halvings == 2  # 16 -> 8 (the third pass) -> 4

    monkeypatch.setattr(CausalModel, "forward", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("DefaultCPUAllocator: can't allocate memory")))
    with pytest.raises(RuntimeError, match="can't allocate"):
        generate(model, requests, words, stop_ids=[])


def test_an_error_that_is_none_of_memory_is_not_swallowed(models, monkeypatch):
    monkeypatch.setattr(CausalModel, "forward", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("shapes")))
    with pytest.raises(RuntimeError, match="shapes"):
        generate(models[0], [Continuation([1], 2), Continuation([2], 2)], words, stop_ids=[])


def test_answers_grow_while_prompts_are_read(models, monkeypatch):
    """Prompts of 12 tokens in pieces of 4, answers of 3: without the two together it would be 3 + 2 passes for each prompt, and no row waits for another."""
    model, _ = models
    monkeypatch.setattr(module, "PREFILL_TOKENS", 4)
    forward, passes = CausalModel.forward, []
    monkeypatch.setattr(CausalModel, "forward", lambda self, ids, *rest, **named: passes.append(ids.shape[1]) or forward(self, ids, *rest, **named))
    generate(model, [Continuation([token, *range(1, 12)], 3) for token in range(20, 24)], words, stop_ids=[])
    assert passes == [4, 4, 4, 5, 5, 4, 5, 5, 4, 5, 5, 4, 1, 1]


def test_rows_fit_the_memory_for_keys_and_values(models, monkeypatch):
    model, _ = models
    seen = []
    monkeypatch.setattr(
        module, "CACHE_BYTES", 4 * 14 * 2 * 2 * 2 * 8 * 4
    )  # a prompt and three rows of 14 tokens: 2 layers, keys and values, 2 heads of 8, float32
    memory = module.AttentionMemory
    monkeypatch.setattr(module, "AttentionMemory", lambda rows, capacity, *rest: seen.append((rows, capacity)) or memory(rows, capacity, *rest))
    generate(model, [Continuation([1, 2, 3, token], 10) for token in range(4, 20)], words, stop_ids=[])
    assert seen == [(3, 14)]


def test_what_is_drawn_does_not_depend_on_what_is_drawn_beside_it(models) -> None:
    model = models[0]
    requests = [Continuation([*SHOTS, question, 5], 6 + question % 5, draw=Draw(1.0, seed=question)) for question in range(10, 40)]
    together = generate(model, requests, words, stop_ids=[])
    alone = [generate(model, [request], words, stop_ids=[])[0] for request in requests[::-1]][::-1]
    greedy = generate(model, [Continuation(request.ids, request.max_tokens) for request in requests], words, stop_ids=[])
    assert together == alone
    assert sum(a.text != b.text for a, b in zip(together, greedy, strict=True)) > 25
