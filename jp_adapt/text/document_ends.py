"""Which token ends a document when no file names it.

EOS does, in the tokenizers of Llama-1, 2 and 3, Mistral, GPT-2. Those of chat models name the token that ends a turn instead (`<|eot_id|>` in Llama-3-Instruct,
`<|im_end|>` in SmolLM2-Instruct and Qwen-Instruct), while their pretraining ended documents with another one, which their vocabulary still has. LLaMA-Factory
makes the same exception for Llama-3; torchtune, datatrove and Megatron (`--append-eod`) end documents with EOS.
"""

from __future__ import annotations

from collections.abc import Collection

TURN_ENDS = frozenset(("<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|im_end|>", "<|end|>", "<|end_of_turn|>", "<end_of_turn>", "<turn|>"))
TEXT_ENDS = ("<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>")


def document_end(eos: str | None, special_texts: Collection[str]) -> str | None:
    """The token that ends a document, from a tokenizer's EOS and its special tokens; None if they do not show it."""
    if eos is not None and eos not in TURN_ENDS:
        return eos
    return next((text for text in TEXT_ENDS if text in special_texts), eos)
