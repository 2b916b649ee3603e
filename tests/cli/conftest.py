"""Tokenizer folders as a user has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tokenizer.conftest import load_sentencepiece, small_ranks, tiktoken_spec, train_sentencepiece, train_small

TEMPLATE = "{{ messages[0]['content'] }}"


def write_folder(folder: Path, spec: object, native: bytes | None = None) -> Path:
    """A Hugging Face tokenizer folder with a chat template."""
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}', encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    if native is not None:
        (folder / "tokenizer.model").write_bytes(native)
    return folder


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family: byte-level, SentencePiece and tiktoken."""
    from jp_adapt.tokenizer.tiktoken import write_ranks

    root = tmp_path_factory.mktemp("bases")
    model = train_sentencepiece()
    return {
        "small": write_folder(root / "small", train_small().spec),
        "sp": write_folder(root / "sp", load_sentencepiece(model).tokenizer.spec, model),
        "tik": write_folder(root / "tik", tiktoken_spec(small_ranks()), write_ranks(small_ranks())),
    }
