"""Damaged, wrong and senseless tokenizers: each is one line of error with the right exit code, and nothing is left behind."""

from __future__ import annotations

import copy
import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.cli.main import main
from tests.cli.conftest import EN, JA, Refuse, extend
from tests.conftest import documents
from tests.tokenizer.conftest import load_sentencepiece, naive_merge, train_sentencepiece
from tests.tokenizer.test_bpe import FAMILIES

# Files cut short.

PARTS = [place / 16 for place in range(16)]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["small", "sp"])
def test_a_tokenizer_json_that_is_cut_short(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, name: str, part: float) -> None:
    data = (bases[name] / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(data[: int(part * len(data))])
    assert "tokenizer.json: " in refuse(*extend(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize("part", PARTS)
def test_a_tokenizer_model_that_is_cut_short(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, part: float) -> None:
    data = (bases["sp"] / "tokenizer.model").read_bytes()
    (tmp_path / "tokenizer.model").write_bytes(data[: int(part * len(data))])
    assert "tokenizer.model: " in refuse(*extend(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize("part", PARTS[::2])
def test_a_rank_file_that_is_cut_short(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, part: float) -> None:
    data = (bases["tik"] / "tokenizer.model").read_bytes()
    (tmp_path / "tokenizer.model").write_bytes(data[: int(part * len(data))])
    assert "tokenizer.model" in refuse(*extend(tmp_path / "tokenizer.model", tmp_path / "out"))


# Bits that turned over. Some leave a good file (another score, another letter); none may leave a traceback, or half a folder.


@pytest.mark.parametrize("seed", range(16))
def test_a_tokenizer_model_with_a_bit_turned_over(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, seed: int) -> None:
    data = bytearray((bases["sp"] / "tokenizer.model").read_bytes())
    chosen = random.Random(seed)
    data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    (tmp_path / "tokenizer.model").write_bytes(data)
    refuse(*extend(tmp_path, tmp_path / "out"), codes=(0, 3, 4))


@pytest.mark.parametrize("seed", range(12))
def test_a_rank_file_with_a_bit_turned_over(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, seed: int) -> None:
    base = shutil.copytree(bases["tik"], tmp_path / "base")
    data = bytearray((base / "tokenizer.model").read_bytes())
    chosen = random.Random(seed)
    data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    (base / "tokenizer.model").write_bytes(data)
    refuse(*extend(base, tmp_path / "out"), codes=(0, 3))  # base64 has bits that stand for nothing


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["small", "sp", "tik"])
def test_a_tokenizer_json_with_a_bit_turned_over(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, name: str, seed: int) -> None:
    data = bytearray((bases[name] / "tokenizer.json").read_bytes())
    chosen = random.Random(seed)
    data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    (tmp_path / "tokenizer.json").write_bytes(data)
    refuse(*extend(tmp_path, tmp_path / "out"), codes=(0, 3, 4))


# tokenizer.json with sense lost.

Spoil = Callable[[Any], Any]


def last(spec: Any) -> str:
    vocab = spec["model"]["vocab"]
    return str(max(vocab, key=vocab.__getitem__))


SPOILT: dict[str, Spoil] = {
    "model missing": lambda s: s.pop("model"),
    "model is text": lambda s: s.update(model="BPE"),
    "model is null": lambda s: s.update(model=None),
    "model is a list": lambda s: s.update(model=[1]),
    "model is empty": lambda s: s.update(model={}),
    "type is a list": lambda s: s["model"].update(type=["BPE"]),
    "type is unknown": lambda s: s["model"].update(type="Neural"),
    "vocabulary missing": lambda s: s["model"].pop("vocab"),
    "vocabulary is a list": lambda s: s["model"].update(vocab=list(s["model"]["vocab"])),
    "vocabulary is empty": lambda s: s["model"].update(vocab={}),
    "vocabulary of one token": lambda s: s["model"].update(vocab={"a": 0}),
    "an id is text": lambda s: s["model"]["vocab"].update({last(s): "7"}),
    "an id is null": lambda s: s["model"]["vocab"].update({last(s): None}),
    "an id is a fraction": lambda s: s["model"]["vocab"].update({last(s): 599.5}),
    "an id is true": lambda s: s["model"]["vocab"].update({last(s): True}),
    "an id is negative": lambda s: s["model"]["vocab"].update({last(s): -1}),
    "an id is 2**31": lambda s: s["model"]["vocab"].update({last(s): 2**31}),
    "an id is 2**32 - 1": lambda s: s["model"]["vocab"].update({last(s): 2**32 - 1}),
    "an id is 2**64": lambda s: s["model"]["vocab"].update({last(s): 2**64}),
    "an id is a list": lambda s: s["model"]["vocab"].update({last(s): [1]}),
    "two tokens with one id": lambda s: s["model"]["vocab"].update({last(s): 5}),
    "merges missing": lambda s: s["model"].pop("merges"),
    "merges are null": lambda s: s["model"].update(merges=None),
    "merges are a dictionary": lambda s: s["model"].update(merges={"t": "h"}),
    "a merge is a number": lambda s: s["model"]["merges"].append(7),
    "a merge is null": lambda s: s["model"]["merges"].append(None),
    "a merge of numbers": lambda s: s["model"]["merges"].append([1, 2]),
    "a merge of lists": lambda s: s["model"]["merges"].append([["t"], ["h"]]),
    "a merge of one": lambda s: s["model"]["merges"].append(["t"]),
    "a merge of three": lambda s: s["model"]["merges"].append(["t", "h", "e"]),
    "a merge of nothing": lambda s: s["model"]["merges"].append([]),
    "a merge of unknown tokens": lambda s: s["model"]["merges"].append(["qqq", "zzz"]),
    "a merge that makes no token": lambda s: s["model"]["merges"].append(["q", "z"]),
    "an empty merge": lambda s: s["model"]["merges"].append(["", "t"]),
    "added tokens missing": lambda s: s.pop("added_tokens"),
    "added tokens are null": lambda s: s.update(added_tokens=None),
    "added tokens are text": lambda s: s.update(added_tokens="<s>"),
    "an added token is text": lambda s: s["added_tokens"].append("<x>"),
    "an added token without id": lambda s: s["added_tokens"].append({"content": "<x>"}),
    "an added token without content": lambda s: s["added_tokens"].append({"id": 700}),
    "an added token without flags": lambda s: s["added_tokens"].append({"id": 900, "content": "<x>"}),
    "an added id is text": lambda s: s["added_tokens"][0].update(id="0"),
    "an added id is null": lambda s: s["added_tokens"][0].update(id=None),
    "an added id is negative": lambda s: s["added_tokens"][0].update(id=-5),
    "an added id is 2**32 - 1": lambda s: s["added_tokens"][0].update(id=2**32 - 1),
    "an added id of another token": lambda s: s["added_tokens"].append({**s["added_tokens"][0], "content": "<x>", "id": 300}),
    "an added content is a number": lambda s: s["added_tokens"][0].update(content=4),
    "a flag is text": lambda s: s["added_tokens"][0].update(special="yes"),
    "the pre-tokenizer is text": lambda s: s.update(pre_tokenizer="ByteLevel"),
    "the pre-tokenizer is a list": lambda s: s.update(pre_tokenizer=["ByteLevel"]),
    "the pre-tokenizer is unknown": lambda s: s.update(pre_tokenizer={"type": "Telepathy"}),
    "parts of the pre-tokenizer are text": lambda s: s.update(pre_tokenizer={"type": "Sequence", "pretokenizers": "ByteLevel"}),
    "a part of the pre-tokenizer is text": lambda s: s.update(pre_tokenizer={"type": "Sequence", "pretokenizers": ["ByteLevel"]}),
    "a broken pattern": lambda s: s.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated", "invert": False}),
    "the normalizer is a number": lambda s: s.update(normalizer=3),
    "the normalizer is unknown": lambda s: s.update(normalizer={"type": "Perfume"}),
    "the decoder is text": lambda s: s.update(decoder="ByteLevel"),
    "the decoder is unknown": lambda s: s.update(decoder={"type": "Enigma"}),
    "the post-processor is a list": lambda s: s.update(post_processor=[]),
    "dropout is text": lambda s: s["model"].update(dropout="some"),
    "the unknown token is a number": lambda s: s["model"].update(unk_token=4),
    "byte fallback is text": lambda s: s["model"].update(byte_fallback={"a": 1}),
    "the version is a list": lambda s: s.update(version=[1]),
}


@pytest.mark.parametrize("fault", SPOILT)
@pytest.mark.parametrize("name", ["small", "sp"])
def test_a_tokenizer_json_that_makes_no_sense(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, name: str, fault: str) -> None:
    spec = json.loads((bases[name] / "tokenizer.json").read_bytes())
    SPOILT[fault](spec)
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    assert f"error: {tmp_path / 'tokenizer.json'}: " in refuse(*extend(tmp_path, tmp_path / "out"))


RAW: dict[str, bytes] = {
    "empty": b"",
    "white space": b" \n\t ",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "a number": b"7",
    "nested without end": b'{"a":' * 100_000,
    "lists without end": b'{"a":' + b"[" * 100_000,
    "a number of 10,000 digits": b'{"model": ' + b"9" * 10_000 + b"}",
    "UTF-16": '{"model": {}}'.encode("utf-16"),
    "UTF-8 with a byte order mark": b"\xef\xbb\xbf{}",
    "Latin-1": b'{"caf\xe9": 1}',
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4,
    "gzip": gzip.compress(b'{"model": {}}'),
    "zeros": bytes(4096),
    "a web page": b"<!DOCTYPE html><html><title>404</title></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n",
    "random bytes": random.Random(1).randbytes(5000),
    "safetensors": (64).to_bytes(8, "little") + b'{"__metadata__": {}}' + b" " * 44,
    "a surrogate": b'{"model": {"type": "BPE", "vocab": {"\\ud800": 0}, "merges": [], "byte_fallback": true}, "added_tokens": []}',
    "half a surrogate pair as an added token": (
        b'{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": true}, "added_tokens": [{"id": 1, "content": "\\udc00"}]}'
    ),
}


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer.model"])
@pytest.mark.parametrize("kind", RAW)
def test_a_file_of_another_kind(tmp_path: Path, refuse: Refuse, file: str, kind: str) -> None:
    (tmp_path / file).write_bytes(RAW[kind])
    assert f"error: {tmp_path / file}" in refuse(*extend(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("SentencePiece BPE", "byte-level BPE")])
def test_another_family(tmp_path: Path, refuse: Refuse, family: str) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(FAMILIES[family]()), encoding="utf-8")
    message = "holds no tokenizer" if family == "unknown" else f"a {family} tokenizer; only BPE"
    assert message in refuse(*extend(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize(
    "options", [{"model_type": "unigram", "vocab_size": 400}, {"byte_fallback": False, "vocab_size": 300}, {"normalization_rule_name": "nfkc"}]
)
def test_another_kind_of_sentencepiece(tmp_path: Path, refuse: Refuse, options: dict[str, Any]) -> None:
    (tmp_path / "tokenizer.model").write_bytes(train_sentencepiece(**options))
    assert "tokenizer.model: " in refuse(*extend(tmp_path, tmp_path / "out"))


def spoilt_model(change: Callable[[Any], Any]) -> bytes:
    model = copy.deepcopy(load_sentencepiece(train_sentencepiece()).sentencepiece)
    change(model)
    return bytes(model.SerializeToString())


def _no_byte_pieces(model: Any) -> None:
    kept = [piece for piece in model.pieces if not piece.piece.startswith("<0x")]
    del model.pieces[:]
    model.pieces.extend(kept)


MODELS: dict[str, Callable[[Any], Any]] = {
    "a piece that stands twice": lambda m: setattr(m.pieces[-1], "piece", m.pieces[-2].piece),
    "an empty piece": lambda m: setattr(m.pieces[-1], "piece", ""),
    "no unknown piece": lambda m: setattr(m.pieces[0], "type", 1),
    "two unknown pieces": lambda m: setattr(m.pieces[-1], "type", 2),
    "no byte pieces": _no_byte_pieces,
    "a byte piece that is missing": lambda m: m.pieces.pop(70),
    "a score that is not a number": lambda m: setattr(m.pieces[-1], "score", float("nan")),
    "a score without end": lambda m: setattr(m.pieces[-1], "score", float("-inf")),
    "a rule of normalisation": lambda m: setattr(m.normalizer_spec, "precompiled_charsmap", b"\x00\x01"),
}


@pytest.mark.parametrize("fault", MODELS)
def test_a_sentencepiece_model_that_makes_no_sense(tmp_path: Path, refuse: Refuse, fault: str) -> None:
    (tmp_path / "tokenizer.model").write_bytes(spoilt_model(MODELS[fault]))
    assert f"error: {tmp_path / 'tokenizer.model'}: " in refuse(*extend(tmp_path, tmp_path / "out"))


RANKS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a line of one word": lambda lines: [*lines, b"YWI="],
    "a line of three words": lambda lines: [*lines, b"YWI= 9 9"],
    "no base64": lambda lines: [*lines, b"?! 998"],
    "a rank that is not a number": lambda lines: [*lines, b"cXFxcQ== x"],
    "a negative rank": lambda lines: [*lines, b"cXFxcQ== -4"],
    "a rank that stands twice": lambda lines: [*lines, b"cXFxcQ== 5"],
    "a token that stands twice": lambda lines: [*lines, lines[300].split()[0] + b" 9999"],
    "one line less": lambda lines: lines[:-1],
    "another order": lambda lines: [lines[0].split()[0] + b" 1", lines[1].split()[0] + b" 0", *lines[2:]],
    "nothing": lambda lines: [],
}


@pytest.mark.parametrize("fault", RANKS)
def test_a_rank_file_that_makes_no_sense(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, fault: str) -> None:
    base = shutil.copytree(bases["tik"], tmp_path / "base")
    lines = (base / "tokenizer.model").read_bytes().splitlines()
    (base / "tokenizer.model").write_bytes(b"\n".join(RANKS[fault](lines)))
    refuse(*extend(base, tmp_path / "out"))


@pytest.mark.parametrize(("json_of", "model_of"), [("sp", "tik"), ("tik", "sp"), ("small", "sp"), ("small", "tik")])
def test_two_tokenizers_in_one_folder(bases: dict[str, Path], tmp_path: Path, refuse: Refuse, json_of: str, model_of: str) -> None:
    shutil.copy(bases[json_of] / "tokenizer.json", tmp_path)
    shutil.copy(bases[model_of] / "tokenizer.model", tmp_path)
    assert "are two different tokenizers" in refuse(*extend(tmp_path, tmp_path / "out"))


# Gates.


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_naive_merge(bases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    data = naive_merge((bases["sp"] / "tokenizer.model").read_bytes(), documents("ja_heldout.jsonl"), 1300, model_type=kind)
    (tmp_path / "tokenizer.model").write_bytes(data)
    assert main(["tokenizer", "verify", str(bases["sp"]), str(tmp_path), "--texts", JA, EN]) == 4
    printed, error = capsys.readouterr()
    assert error == ""
    assert "Not a safe extension" in printed
