"""Vocabularies are aligned by what tokens say, and what cannot be aligned is refused with the reason."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.merging.rows import aligned_rows
from jp_adapt.merging.vocabulary import LACKING, Vocabulary, align


def vocabulary(text: str, *, rows: int | None = None, family: str = "byte-level BPE") -> Vocabulary:
    tokens = text.split()
    return Vocabulary({token: place for place, token in enumerate(tokens)}, family, len(tokens) if rows is None else rows)


def matrix(vocabulary: Vocabulary, offset: float) -> torch.Tensor:
    """Row r holds offset + r."""
    return torch.arange(vocabulary.rows, dtype=torch.float32)[:, None] + offset


@given(st.permutations("abcdefgh"), st.permutations("abcdefgh"), st.integers(1, 8))
def test_the_same_token_is_the_same_row_whatever_its_id(first, second, kept):
    """Of a full vocabulary and a part of another order, each row of the output stands for one token in both."""
    models = {"full": vocabulary(" ".join(first)), "part": vocabulary(" ".join(second[:kept]))}
    alignment = align(models)
    assert alignment.output == "full"
    rows = aligned_rows({name: matrix(entry, 100.0 * place) for place, (name, entry) in enumerate(models.items())}, alignment)
    for row, token in enumerate(first):
        assert float(rows["full"][row]) == row
        own = models["part"].tokens.get(token)
        assert float(rows["part"][row]) == (row if own is None else 100 + own)  # what it lacks comes from the donor


def test_a_base_gives_its_rows_to_models_that_lost_them_and_takes_the_mean_of_those_that_have_more():
    models = {"base": vocabulary("a b c"), "one": vocabulary("a b c x y"), "two": vocabulary("a c b x"), "three": vocabulary("a b")}
    alignment = align(models, base="base")
    assert alignment.output == "one"
    rows = aligned_rows({name: matrix(entry, 10.0 * place) for place, (name, entry) in enumerate(models.items())}, alignment)
    assert rows["base"][:, 0].tolist() == [0, 1, 2, (13 + 23) / 2, 14]
    assert rows["two"][:, 0].tolist() == [20, 22, 21, 23, 14]
    assert rows["three"][:, 0].tolist() == [30, 31, 2, (13 + 23) / 2, 14]
    records = {record["token"]: record["rows"] for record in alignment.records()}
    assert records["x"] == {"base": "donor one two", "one": "own 3", "two": "own 3", "three": "donor one two"}
    assert records["c"] == {"base": "own 2", "one": "own 2", "two": "own 1", "three": "base base"}
    other_order = dict(reversed(models.items()))
    again = aligned_rows({name: matrix(entry, 10.0 * list(models).index(name)) for name, entry in other_order.items()}, align(other_order, base="base"))
    assert all(torch.equal(again[name], rows[name]) for name in models)


def test_a_row_that_the_base_has_goes_to_models_before_it_as_well():
    models = {"short": vocabulary("b"), "base": vocabulary("b a c"), "wide": vocabulary("a b c d")}
    rows = aligned_rows({name: matrix(entry, 10.0 * place) for place, (name, entry) in enumerate(models.items())}, align(models, base="base"))
    assert rows["base"][:, 0].tolist() == [11, 10, 12, 23]
    assert rows["short"][:, 0].tolist() == [11, 0, 12, 23]


def test_rows_of_own_pieces():
    models = {"base": vocabulary("a b c"), "wide": vocabulary("a b c ab xc")}
    alignment = align(models, policy="pieces", spell=lambda model, token: {"ab": [0, 1], "xc": []}[token])
    rows = aligned_rows({name: matrix(entry, 10.0 * place) for place, (name, entry) in enumerate(models.items())}, alignment)
    assert rows["base"][:, 0].tolist() == [0, 1, 2, 0.5, 14]  # a token that cannot be spelled takes the donor's row
    assert [record["rows"]["base"] for record in alignment.records()] == ["own pieces 0 1", "donor wide"]


def test_rows_that_pad_a_matrix_and_tokens_without_a_row():
    """Llama-3's tables are padded; some models name a token behind their last row."""
    models = {"padded": vocabulary("a b c", rows=6), "plain": vocabulary("a b c pad", rows=3)}
    alignment = align(models)
    assert alignment.output == "padded"
    assert alignment.names == ["a", "b", "c", 3, 4, 5]
    assert alignment.rows["plain"] == [0, 1, 2, LACKING, LACKING, LACKING]
    assert alignment.dropped == {"padded": [], "plain": []}


def test_types_stay_where_nothing_is_moved_and_widen_where_rows_come_from_elsewhere():
    models = {"base": vocabulary("a b"), "wide": vocabulary("a b c")}
    matrices = {"base": torch.ones(2, 1, dtype=torch.bfloat16), "wide": torch.full((3, 1), 1.01)}
    rows = aligned_rows(matrices, align(models))
    assert rows["base"].dtype == torch.float32
    assert rows["wide"] is matrices["wide"]
    assert float(rows["base"][2]) == float(matrices["wide"][2])


@pytest.mark.parametrize(
    ("models", "output", "message"),
    [
        (
            {"llama2": vocabulary("▁a b", family="SentencePiece BPE"), "llama3": vocabulary("Ġa b")},
            None,
            "'llama2' has a SentencePiece BPE tokenizer and 'llama3' a byte-level BPE one: the same text is another token in each",
        ),
        (
            {"a": vocabulary("x y z p q"), "b": vocabulary("x y z r")},
            None,
            r"no tokenizer holds the tokens of all models: 'a' lacks 1 tokens of 'b', 'r' for example.* say so: tokenizer: a",
        ),
        ({"a": vocabulary("x y z"), "b": vocabulary("r s z")}, "a", "of 3 tokens of 'b' the tokenizer of 'a' lacks 2, 'r' for example; these are two vocabul"),
    ],
)
def test_what_cannot_be_aligned_is_refused(models, output, message):
    with pytest.raises(InputError, match=message):
        align(models, output=output)


def test_a_chosen_tokenizer_drops_what_it_lacks_and_says_so():
    alignment = align({"a": vocabulary("x y z p"), "b": vocabulary("x y z r")}, output="b")
    assert alignment.output == "b"
    assert alignment.dropped == {"a": ["p"], "b": []}


def test_the_base_is_kept_where_all_are_the_same():
    assert align({"a": vocabulary("x y"), "base": vocabulary("x y")}, base="base").output == "base"
