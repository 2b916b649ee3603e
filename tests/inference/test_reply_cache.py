"""Replies on the disk: whole lines count, a half one is cut off, and what no longer can be read is asked for again."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.inference.reply_cache import ReplyCache


def test_a_half_written_last_line_is_cut_off_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    with ReplyCache(path) as cache:
        cache.store("a", {"text": "一"})
        cache.store("b", {"text": "二\u2028三"})
        cache.store("a", {"text": "二"})
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 2, len(whole)):
        path.write_bytes(whole[:length])
        with ReplyCache(path) as cache:
            assert (cache.cut_lines, len(cache), cache.get("a"), cache.get("b")) == (1, 1, {"text": "一"}, None)
            cache.store("c", {"text": "三"})
        with ReplyCache(path) as cache:
            assert (cache.cut_lines, cache.get("c")) == (0, {"text": "三"})
    path.write_bytes(whole)
    with ReplyCache(path) as cache:
        assert (cache.cut_lines, cache.get("b")) == (0, {"text": "二\u2028三"})


@pytest.mark.parametrize("broken", [b"{}\n", b"[]\n", b"\x00\n", b'{"key": "a"\n', b"\n"])
def test_a_broken_line_in_the_middle_is_an_error(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "cache.jsonl"
    path.write_bytes(b'{"key": "a"}\n' + broken + b'{"key": "b"}\n')
    with pytest.raises(InputError, match=r"cache\.jsonl:2: no reply that this program stored"):
        ReplyCache(path)


def test_a_line_over_a_bound_that_an_earlier_version_stored_is_asked_for_again(tmp_path: Path) -> None:
    path, key = tmp_path / "cache.jsonl", ReplyCache.key({"body": "a"})
    with ReplyCache(path) as cache:
        cache.store(key, {"text": "一", "prompt_tokens": 10**5})
    path.write_bytes(path.read_bytes().replace(b"100000", b"1" + b"0" * 400))
    with ReplyCache(path) as cache:
        assert cache.get(key) is None
        cache.store(key, {"text": "一", "prompt_tokens": None})
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[1])
    with ReplyCache(path) as cache:
        assert cache.get(key) == {"text": "一", "prompt_tokens": None}
