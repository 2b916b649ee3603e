"""The peers' ways to join prompt and choice: lm-eval's own function on real tokenizers, and what each way loses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer

from jp_adapt.inference.boundaries import pair
from tests.data import SHARED

DATA = SHARED / "tokenizers"
PAIRS = [
    ("### 応答：", "\n日本"), ("質問：何？\n答え：", "東京"), ("a b ", "c"), ("関係:\n", "neutral"), ("答え：\n", "マザーボード"),
    ("x", " y"), ("回答：", "田園"), ("A", "."),
]  # fmt: skip


def encoder(name: str) -> Tokenizer:
    path = DATA / name / "tokenizer.json"
    if not path.is_file():
        pytest.skip("development data is not here (JP_ADAPT_DATA names it)")
    return Tokenizer.from_file(str(path))


@pytest.mark.parametrize("name", ["llama2", "llama3"])
@pytest.mark.parametrize(("prompt", "choice"), PAIRS)
def test_cut_is_lm_evals_own(name: str, prompt: str, choice: str) -> None:
    model = pytest.importorskip("lm_eval.api.model", reason="lm_eval is not installed")
    tokenizer = encoder(name)
    start = tokenizer.encode("", add_special_tokens=True).ids
    theirs = SimpleNamespace(backend="causal", tok_encode=lambda text: tokenizer.encode(text, add_special_tokens=True).ids)
    context, continuation = model.TemplateLM._encode_pair(theirs, prompt, choice)
    results = pair(lambda text: tokenizer.encode(text, add_special_tokens=False).ids, prompt, choice, "cut", start=start, empty=0)
    if continuation:
        assert results.ids[results.first :] == continuation
        assert results.ids[: results.first] == results.ids[: len(context)]
    else:
        assert results.moved


@pytest.mark.parametrize("name", ["llama2", "llama3"])
def test_what_each_way_loses(name: str) -> None:
    tokenizer = encoder(name)

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    apart = pair(encode, "回答：", "田園", "apart", start=(), empty=0)
    assert apart.ids == encode("回答：") + encode("田園")
    if name == "llama2":
        assert apart.moved, "a SentencePiece tokenizer puts a space mark before a choice that is encoded by itself"
    cut = pair(encode, "### 応答：", "\n日本", "cut", start=(), empty=0)
    scored = tokenizer.decode(cut.ids[cut.first :])
    assert cut.moved == (name == "llama3"), "only Llama-3 has a token for the full-width colon with a newline"
    assert ("\n" in scored) == (not cut.moved)


def test_an_empty_prompt_has_one_token_before_it() -> None:
    results = pair(lambda text: [ord(char) for char in text], "", "ab", "cut", start=(9,), empty=7)
    assert (results.ids, results.first, results.moved) == ([7, 97, 98], 1, False)


def test_a_choice_that_vanishes_is_counted_and_scored() -> None:
    results = pair(lambda text: [len(text)], "ab", "c", "cut", start=(), empty=0)
    assert results.moved
    assert results.first < len(results.ids) or len(results.ids) == 1
