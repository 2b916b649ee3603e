"""Guarantees are those of the whole runtime (normalizer, added tokens, pre-tokenizer, model), and a base that changes its text is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, normalizers

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer.bpe import BpeTokenizer, check_normalizer, check_spec
from jp_adapt.tokenizer.byte_level import to_text
from jp_adapt.tokenizer.extend import append_tokens, extend_tokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.verify import verify_tokenizer
from jp_adapt.tokenizer.words import MAX_WEIGHT, Corpus
from tests.conftest import QUICKSTART
from tests.tokenizer.conftest import Trio

CHANGING = {
    "NFKC": normalizers.NFKC(),
    "NFC": normalizers.NFC(),
    "NFD": normalizers.NFD(),
    "Lowercase": normalizers.Lowercase(),
    "Replace": normalizers.Replace("。", "."),
    "Strip": normalizers.Strip(),
    "StripAccents": normalizers.StripAccents(),
    "Prepend": normalizers.Prepend("x"),
}
NEW = ["パソコン", "キロ", "１２", "日本"]


def normalising(spec: dict[str, Any], normalizer: Any, *, before: bool = False) -> BpeTokenizer:
    """The tokenizer with a normalizer, ahead of its own where `before` says so."""
    changed = copy.deepcopy(spec)
    runtime = Tokenizer.from_str(json.dumps(changed))
    runtime.normalizer = normalizers.Sequence([normalizer, runtime.normalizer]) if before else normalizer
    return BpeTokenizer(json.loads(runtime.to_str()))


@pytest.mark.parametrize("kind", CHANGING)
def test_a_base_that_changes_its_text_is_refused(small: BpeTokenizer, sp: LoadedTokenizer, kind: str, japanese: list[str]) -> None:
    for base, before in ((small, False), (sp.tokenizer, True)):
        with pytest.raises(InputError, match=rf"^the base tokenizer: its normalizer \({kind}\) changes a text before it is cut, which cannot be undone"):
            extend_tokenizer(normalising(base.spec, CHANGING[kind], before=before), japanese[:5], 50)


@pytest.mark.parametrize("kind", ["NFKC", "Lowercase"])
def test_the_command_refuses_it_before_any_work(small: BpeTokenizer, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(normalising(small.spec, CHANGING[kind]).spec), encoding="utf-8")
    command = ["tokenizer", "extend", "--base", str(path), "--corpus", str(QUICKSTART / "ja_train.jsonl"), "--new-tokens", "50", "--out", str(tmp_path / "out")]
    assert main(command) == 3
    assert capsys.readouterr().err.startswith(f"error: {path}: its normalizer ({kind}) changes a text")
    assert not (tmp_path / "out").exists()


def test_what_sentencepiece_does_is_no_change(sp: LoadedTokenizer, small: BpeTokenizer, tik: LoadedTokenizer) -> None:
    """A space before the text, and U+2581 for a space; in a byte-level tokenizer both would be one."""
    for spec in (sp.tokenizer.spec, small.spec, tik.tokenizer.spec):
        check_normalizer(spec, "x")
    mixed = copy.deepcopy(small.spec) | {"normalizer": sp.tokenizer.spec["normalizer"]}
    with pytest.raises(InputError, match=r"its normalizer \(Prepend\)"):
        check_normalizer(mixed, "x")


def test_a_base_that_loses_text_is_refused(small: BpeTokenizer, japanese: list[str]) -> None:
    """Not a normalizer, and the same in effect: white space taken out by the pre-tokenizer."""
    spec = copy.deepcopy(small.spec)
    spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, spec["pre_tokenizer"]]}
    with pytest.raises(InputError, match=r"^the base tokenizer: gives '.*' back of '.*'; only tokenizers that lose nothing"):
        extend_tokenizer(BpeTokenizer(spec), japanese[:5], 50)


def test_tokens_that_a_normalizer_hides_are_counted(small: BpeTokenizer) -> None:
    """Each is produced by the bare model from its own text, and by no text that a user gives."""
    base = normalising(small.spec, CHANGING["NFKC"])
    texts = ["ﾊﾟｿｺﾝ", "①", "㌔", "１２３", "日本"]
    parts = [to_text(text.encode()[: end + 1]) for text in texts for end in range(1, len(text.encode()))]
    tokens = [base.to_bytes(part) for part in dict.fromkeys(parts)]
    extended = append_tokens(base, [], tokens)
    (hidden,) = (c for c in verify_tokenizer(base, extended) if c.name == "unreachable_new_tokens")
    (clean,) = (c for c in verify_tokenizer(small, append_tokens(small, [], tokens)) if c.name == "unreachable_new_tokens")
    assert clean.failures == 0
    assert hidden.failures == len({text[:end] for text in texts[:4] for end in range(1, len(text) + 1)}), "every one but those of 日本"
    assert [example.split(": ")[1] for example in hidden.examples] == ["'ﾊ'", "'ﾊﾟ'", "'ﾊﾟｿ'", "'ﾊﾟｿｺ'", "'ﾊﾟｿｺﾝ'"]


def test_a_token_inside_an_added_token_is_unreachable(small: BpeTokenizer) -> None:
    """An added token 日 is taken out of a text before it is cut: 日本 never comes out."""
    spec = copy.deepcopy(small.spec)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    spec["added_tokens"].append({"id": 600, "content": "日", **flags})
    spec["model"]["vocab"]["日"] = 600
    base = BpeTokenizer(spec)
    parts = ["日本".encode()[:end] for end in (2, 3, 4, 5, 6)]
    (results,) = (c for c in verify_tokenizer(base, append_tokens(base, [], parts)) if c.name == "unreachable_new_tokens")
    assert [example for example in results.examples if example.endswith("'日本'")]


def test_words_end_at_added_tokens(small: BpeTokenizer, japanese: list[str]) -> None:
    """So that nothing is learned across one."""
    spec = copy.deepcopy(small.spec)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    spec["added_tokens"].append({"id": 600, "content": "の", **flags})
    spec["model"]["vocab"]["の"] = 600
    base = BpeTokenizer(spec)
    assert base.words("日本の東京") == [to_text("日本".encode()), to_text("東京".encode())]
    extension = extend_tokenizer(base, japanese[:30], 300)
    assert not [token for token in extension.tokens if "の".encode() in token]
    assert [c.label for c in verify_tokenizer(base, extension.tokenizer, japanese=japanese[:5]) if not c.holds] == []


def test_words_end_where_a_sentencepiece_tokenizer_cuts_first(sp: LoadedTokenizer) -> None:
    spec = copy.deepcopy(sp.tokenizer.spec)
    spec["pre_tokenizer"] = {"type": "Split", "pattern": {"String": "の"}, "behavior": "Isolated", "invert": False}
    assert BpeTokenizer(spec).words(" 日本の東京") == ["▁日本", "の", "東京"]
    spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
    assert BpeTokenizer(spec).words("日本") == ["日本"]


def test_the_extensions_of_every_family_come_out_of_the_whole_runtime(trio: Trio, japanese: list[str]) -> None:
    criteria = verify_tokenizer(trio.base, trio.extended, japanese=japanese[:20])
    assert [criterion.label for criterion in criteria if not criterion.holds] == []


# What a tokenizer.json must not hold.

PARTS: dict[str, tuple[dict[str, Any], str]] = {
    "a prefix of pieces": ({"model": {"continuing_subword_prefix": "##"}}, "'model' has a continuing_subword_prefix ('##')"),
    "an end of words": ({"model": {"end_of_word_suffix": "</w>"}}, "'model' has a end_of_word_suffix"),
    "dropout": ({"model": {"dropout": 0.5}}, "a dropout of 0.5, by which a text is cut at random"),
    "a template without its token": (
        {"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<x>", "type_id": 0}}], "pair": [], "special_tokens": {}}},
        "'post_processor' names the special token '<x>' and does not describe it",
    ),
    "a template as text": (
        {"post_processor": {"type": "Sequence", "processors": [{"type": "TemplateProcessing", "single": "<y> $A:0", "pair": "$A $B", "special_tokens": {}}]}},
        "names the special token '<y>'",
    ),
}


@pytest.mark.parametrize("kind", PARTS)
def test_settings_on_which_the_runtime_fails_are_refused(small: BpeTokenizer, kind: str) -> None:
    parts, message = PARTS[kind]
    spec = copy.deepcopy(small.spec)
    for name, value in parts.items():
        spec[name] = {**spec[name], **value} if name == "model" else value
    with pytest.raises(InputError) as caught:
        check_spec(spec, "x")
    assert str(caught.value).startswith("x: ")
    assert message in str(caught.value)


class PanicException(BaseException):
    """What a panic of the Rust library is in Python."""


def test_a_panic_of_the_library_is_an_error_of_the_file(small: BpeTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(small.spec), encoding="utf-8")

    def panic(self: BpeTokenizer) -> None:
        raise PanicException("range end index out of range")

    monkeypatch.setattr(BpeTokenizer, "runtime", property(panic))
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer\.json that `tokenizers` can run \(range end index out of range\)"):
        load_tokenizer(tmp_path)

    def interrupt(self: BpeTokenizer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BpeTokenizer, "runtime", property(interrupt))
    with pytest.raises(KeyboardInterrupt):
        load_tokenizer(tmp_path)


def test_truncation_and_padding_of_the_file_do_not_hold(small: BpeTokenizer) -> None:
    spec = copy.deepcopy(small.spec)
    spec["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    spec["padding"] = {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"}
    text = "a long text that is not cut"
    assert BpeTokenizer(spec).encode(text) == small.encode(text)


# Numbers.


@pytest.mark.parametrize("number", [10**20, 2**22])
def test_more_tokens_than_a_vocabulary_holds(small: BpeTokenizer, number: int) -> None:
    with pytest.raises(InputError, match=r"new tokens after 600: no vocabulary holds more than 4,194,305"):
        extend_tokenizer(small, ["日本"], number)


@pytest.mark.parametrize("options", [{"min_count": 10**20}, {"max_token_chars": 10**20}])
def test_numbers_that_no_counter_holds(small: BpeTokenizer, japanese: list[str], options: dict[str, int]) -> None:
    if "min_count" in options:
        with pytest.raises(InputError, match="the corpus gives 0 Japanese strings"):
            extend_tokenizer(small, japanese[:5], 50, cover=False, **options)
    else:
        assert len(extend_tokenizer(small, japanese[:5], 50, cover=False, **options).tokens) == 50


@pytest.mark.parametrize("weight", [1e308, 1001.0, 0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none(weight: float) -> None:
    with pytest.raises(InputError, match=rf"^the weight of corpus 'x' is .*; it must be above 0 and at most {MAX_WEIGHT:g}$"):
        Corpus().add("x", ["日本"], weight)
