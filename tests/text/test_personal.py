"""Personal information: what is masked in half and full width, what must stay, and hostile strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.text.personal import MASKS, mask_personal
from tests.properties import examples


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("連絡先はtaro.yamada+x@mail.co.jpまで", "mail"),
        ("<mailto:a_b@foo-bar.ne.jp>", "mail"),
        ("連絡先 taro＠gmail.com", "mail"),
        ("電話03-1234-5678へ", "phone"),
        ("TEL03-1234-5678", "phone"),
        ("TEL:０３－１２３４－５６７８", "phone"),
        ("電話03\u22121234\u22125678", "phone"),
        ("０３（１２３４）５６７８", "phone"),
        ("携帯 090-1234-5678", "phone"),
        ("携帯０９０１２３４５６７８", "phone"),
        ("(03)1234-5678", "phone"),
        ("06(6123)4567", "phone"),
        ("+81-3-1234-5678", "phone"),
        ("+81 3 1234 5678", "phone"),
        ("+81(0)3-1234-5678", "phone"),
        ("+81-(0)90-1234-5678", "phone"),
        ("0120-444-113", "phone"),
        ("0467-22-1234", "phone"),
        ("番号は123456789018です", "my_number"),
        ("1234 5678 9018", "my_number"),
        ("１２３４－５６７８－９０１８", "my_number"),
    ],
)
def test_masked(text: str, kind: str) -> None:
    masked, changes = mask_personal(text)
    assert changes == {kind: 1}
    assert MASKS[kind] in masked
    assert not any(char.isdecimal() for char in masked)


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com と foo@bar.example",
        "git@github.com:user/repo.git",
        "npm install react@18.2.0 @types/node@20.1.0-beta.rc a@20.1.0-beta.rc",
        "@app.route と @dataclass、root@localhost:~#",
        "2024-01-15 2001-2003 07-00-0000 05-01-1731",
        "ISBN 0-13-110362-8、978-4-87311-565-8",
        "192.168.100.200 0x0123-4567-8901 v0.3-1234-5678",
        "12-34-5678 99-999-9999 00-1234-5678",
        "123456789012 3.123456789018 1234567890180 a123456789018",
        "123e4567-e89b-12d3-a456-426614174000 1a-03-1234-5678",
        "1,234,567,890",
        "01 1024 2048",
    ],
)
def test_left_alone(text: str) -> None:
    assert mask_personal(text) == (text, {})


@examples(500)
@given(st.lists(st.sampled_from(["03-1234-5678", "123456789018", "a@b.jp", *"0９1238＋+１-−－ー()（）@＠.gaコ_ <>"]), max_size=20).map("".join))
def test_twice_is_once(text: str) -> None:
    once = mask_personal(text)[0]
    assert mask_personal(once)[0] == once


@pytest.mark.parametrize("unit", ["a", "a.", "1", "0-", "a@", "a@a.", "1234 ", "(03)", "+81", "０", "03-1234-"])
def test_long_lines_take_no_more_than_their_length(unit: str) -> None:
    text = unit * 100_000 + "@"
    assert mask_personal(text) == (text, {})  # a pattern that backtracks would not come to an end
