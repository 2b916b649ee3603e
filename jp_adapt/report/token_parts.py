"""How tokens, their scripts and the criteria of a tokenizer are shown."""

from __future__ import annotations

RUNTIMES = {"all": "all runtimes", "tokenizers": "Hugging Face tokenizers", "sentencepiece": "SentencePiece"}
SCRIPT_NAMES = {"partial": "part of a character (bytes)", "mixed": "several scripts", "punct": "punctuation", "width": "full-width forms"}


# name of a criterion: what its number counts, and why it has to be 0
CRITERIA = {
    "base_ids_changed": ("Base tokens with another id", "The model finds what it learned about a token by its id, so every base token keeps its own."),
    "unreachable_new_tokens": ("New tokens that no text produces", "A token that is not produced even from its own text would never be trained or used."),
    "dead_base_tokens": ("Base tokens that no text produces any more", "A token that the base produced and the extension never does is knowledge lost."),
    "changed_lines": ("Lines without Japanese that are cut differently", "English, code and other text must reach the model exactly as before."),
    "longer_inputs": ("Lines that take more tokens than before", "An extension may shorten an input or leave it alone, but never make it longer."),
    "round_trip_failures": ("Texts that do not decode back to themselves", "Encoding and then decoding a text must lose and change nothing."),
    "runtimes_disagree": ("Texts on which the runtimes disagree", "Every program that reads the tokenizer must give the same ids for the same text."),
    "auto_tokenizer_disagrees": (
        "Texts of which AutoTokenizer gives other ids",
        "Most programs load a folder by AutoTokenizer, and must get the ids that the model was trained with.",
    ),
    "llama_cpp_check_string": (
        "llama.cpp check strings that are cut differently",
        "llama.cpp recognises a tokenizer by the ids of one fixed string, so the extension must leave that string as it was.",
    ),
}


def criterion_name(name: object) -> str:
    """What a criterion counts, in words; the runtime that stands behind its name in a run's record comes after it."""
    key, _, runtime = str(name).partition(" (")
    known = CRITERIA[key][0] if key in CRITERIA else key.replace("_", " ")
    return f"{known} ({runtime}" if runtime else known


def script_name(name: object) -> str:
    """A script in words."""
    return SCRIPT_NAMES.get(str(name), str(name).replace("_", " "))


def runtime_name(name: object) -> str:
    """A runtime in words."""
    return RUNTIMES.get(str(name), str(name))
