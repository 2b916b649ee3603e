"""The token that ends a document, where a chat model's EOS ends a turn."""

from __future__ import annotations

import pytest

from jp_adapt.text.document_ends import document_end


@pytest.mark.parametrize(
    ("eos", "special", "end"),
    [
        ("</s>", ["<s>", "</s>"], "</s>"),
        ("<|end_of_text|>", ["<|eot_id|>"], "<|end_of_text|>"),
        ("<|eot_id|>", ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], "<|end_of_text|>"),
        ("<|im_end|>", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|endoftext|>"),
        ("<|im_end|>", ["<|im_start|>", "<|im_end|>"], "<|im_end|>"),
        (None, ["<|endoftext|>"], "<|endoftext|>"),
        (None, ["<|im_end|>"], None),
    ],
)
def test_which_token_ends_a_document(eos: str | None, special: list[str], end: str | None) -> None:
    assert document_end(eos, special) == end
