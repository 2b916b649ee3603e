"""Tokenizers that cannot be extended are measured all the same, by whichever library loads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.measurable import UNKNOWN, OtherTokenizer, bytes_of_pieces, load_measurable
from jp_adapt.tokenizer.measure import measure_tokenizer
from tests.conftest import QUICKSTART, documents

TEXTS = documents("ja_heldout.jsonl")[:5]
LEARNED = documents("ja_train.jsonl")[:60]


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.train_from_iterator(LEARNED, trainers.UnigramTrainer(vocab_size=2500, special_tokens=["<s>", "<unk>"], unk_token="<unk>", show_progress=False))
    return tokenizer


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(LEARNED, trainers.WordPieceTrainer(vocab_size=900, special_tokens=["[UNK]", "[CLS]"], show_progress=False))
    return tokenizer


def qwen() -> Tokenizer:
    """Byte-level BPE behind NFC, as Qwen's, which is measured and not extended."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizers.NFC(), pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(LEARNED, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False))
    return tokenizer


KINDS = {"Unigram": unigram, "WordPiece": wordpiece}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whole_folder", [True, False])
def test_a_folder_and_a_file_are_measured_as_their_library_cuts(kind: str, whole_folder: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = KINDS[kind]()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}), encoding="utf-8")
    loaded = load_measurable(tmp_path if whole_folder else tmp_path / "tokenizer.json")
    assert isinstance(loaded, OtherTokenizer)
    assert loaded.family == (f"{kind} (TokenizersBackend)" if whole_folder else kind)
    assert "for measuring only (" in capsys.readouterr().err
    assert loaded.vocab_size == tokenizer.get_vocab_size()
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    assert loaded.encode_batch(TEXTS) == ids
    measure = measure_tokenizer(loaded, TEXTS)
    assert measure.tokens == sum(map(len, ids))
    assert 0.5 < measure.chars_per_token < 3


def test_byte_level_pieces_are_bytes(tmp_path: Path) -> None:
    """Of a folder whose BPE needs a way of its own here, the bytes of its tokens are those of the text."""
    tokenizer = qwen()
    pieces = {token_id: piece for piece, token_id in tokenizer.get_vocab().items()}
    table = bytes_of_pieces(pieces, set(), None)
    assert [b"".join(table[token_id] for token_id in tokenizer.encode(text).ids).decode("utf-8") for text in TEXTS] == TEXTS
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    measure = measure_tokenizer(load_measurable(tmp_path), TEXTS)
    assert measure.tokens == sum(len(tokenizer.encode(text).ids) for text in TEXTS)
    assert measure.broken_tokens > 0


def test_an_unknown_token_is_broken_and_no_byte(tmp_path: Path) -> None:
    wordpiece().save(str(tmp_path / "tokenizer.json"))
    loaded = load_measurable(tmp_path / "tokenizer.json")
    unknown = loaded.encode_batch(["\U0001f600"])[0]
    assert [loaded.token_bytes[token_id] for token_id in unknown] == [UNKNOWN]
    measure = measure_tokenizer(loaded, ["\U0001f600"])
    assert (measure.broken_tokens, measure.byte_tokens) == (1, 0)
    assert b"#" not in b"".join(loaded.token_bytes[token_id] for token_id in loaded.encode_batch(TEXTS)[0])


def test_a_sentencepiece_unigram_model(tmp_path: Path) -> None:
    import sentencepiece

    (tmp_path / "text.txt").write_text("\n".join(LEARNED), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"), model_prefix=str(tmp_path / "tokenizer"), vocab_size=2500, byte_fallback=True, minloglevel=2, num_threads=1
    )
    loaded = load_measurable(tmp_path / "tokenizer.model")
    assert loaded.family == "SentencePiece Unigram"
    assert loaded.token_bytes[loaded.encode_batch(["\U0001f600"])[0][-1]] == b"\x80", "a byte of a character without a piece"
    assert 0.8 < measure_tokenizer(loaded, TEXTS).chars_per_token < 3


def test_one_that_can_be_extended_is_loaded_as_such(pico: Path) -> None:
    assert isinstance(load_measurable(pico), BpeTokenizer)


def test_what_no_library_loads(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing: no such file or folder$"):
        load_measurable(tmp_path / "nothing")
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError, match=r"no tokenizer.json and no tokenizer.model here(.|\n)*AutoTokenizer cannot load the folder \(\w+: "):
        load_measurable(tmp_path / "a")
    for text, message in (
        ('{"model": {}}', "not a tokenizer.json that `tokenizers` can run"),
        ("\x01\x02", "not a SentencePiece model that `sentencepiece` loads"),
    ):
        (tmp_path / "b").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            load_measurable(tmp_path / "b")


def test_compare_takes_them_beside_each_other(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unigram().save(str(tmp_path / "tokenizer.json"))
    assert main(["tokenizer", "compare", str(pico), str(tmp_path), "--texts", str(QUICKSTART / "ja_heldout.jsonl"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["family"] for one in report["tokenizers"]][1] == "Unigram (TokenizersBackend)"
    base, other = (row["measure"]["chars_per_token"] for row in report["rows"])
    assert other > base
