"""Which documents are held out."""

from __future__ import annotations

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.heldout import split_documents, split_heldout

TEXTS = [f"文書その{number}。" for number in range(200)]


def test_a_share_of_the_documents_is_held_out_and_both_parts_keep_their_order() -> None:
    training, heldout = split_documents(TEXTS, 0.05)
    assert len(heldout) == 10
    assert sorted(training + heldout, key=TEXTS.index) == TEXTS
    assert training == sorted(training, key=TEXTS.index)
    assert heldout != TEXTS[:10] != TEXTS[-10:]


def test_which_documents_depends_on_their_text_alone() -> None:
    _, heldout = split_documents(TEXTS, 0.05)
    _, again = split_documents(TEXTS[::-1], 0.05)
    assert again == heldout[::-1]


def test_a_copy_is_held_out_with_its_document() -> None:
    training, heldout = split_documents(TEXTS * 2, 0.05)
    assert len(heldout) == 20
    assert not set(training) & set(heldout)


def test_at_least_one_is_held_out_and_one_trained_on() -> None:
    assert [len(part) for part in split_documents(TEXTS[:3], 0.01)] == [2, 1]
    assert [len(part) for part in split_documents(TEXTS[:3], 0.99)] == [1, 2]


def test_of_one_document_the_last_lines_are_held_out() -> None:
    text = "".join(f"{number:09d}\n" for number in range(100)) + "\n"
    (training,), (heldout,) = split_documents([text], 0.05)
    assert training + heldout == text
    assert heldout.startswith("000000095\n")


@pytest.mark.parametrize("documents", [["一行だけ"], ["一行だけ\n\n"], ["同じ", "同じ"]])
def test_too_little_to_hold_out(documents: list[str]) -> None:
    with pytest.raises(InputError, match="bring more documents, or take 'heldout' out"):
        split_documents(documents, 0.01)


def test_conversations_are_told_apart_by_their_key() -> None:
    training, heldout = split_heldout([{"text": text} for text in TEXTS], 0.01, lambda item: item["text"])
    assert (len(training), len(heldout)) == (198, 2)
