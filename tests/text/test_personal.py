"""Personal information: what is masked in half and full width, what must stay, and hostile strings."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.text.personal import _KINDS, MASKS, mask_personal
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


# Area codes, mobile, IP and free numbers of the numbering plan (Ministry of Internal Affairs), each cut as it is in its region; no number of anybody.
PLAN = [
    *("03-5123-4567", "06-6123-4567", "011-212-3456", "017-722-3456", "022-212-3456", "025-222-3456", "028-622-3456", "043-222-3456", "045-222-3456"),
    *("052-123-4567", "054-252-3456", "058-262-3456", "072-222-3456", "075-222-3456", "078-322-3456", "082-222-3456", "089-922-3456", "092-722-3456"),
    *("0467-22-3456", "0742-22-3456", "0985-22-3456", "0138-22-3456", "0263-32-3456", "0776-22-3456", "0857-22-3456", "01267-2-3456", "04992-2-3456"),
    *("070-1234-5678", "080-2345-6789", "090-3456-7890", "050-3123-4567", "0120-123-456", "0800-123-4567", "0570-012-345"),
]  # fmt: skip
FULL_WIDTH = str.maketrans("0123456789-()+", "０１２３４５６７８９－（）＋")
FORMS = {
    "hyphens": "{a}-{b}-{c}",
    "none": "{a}{b}{c}", "spaces": "{a} {b} {c}", "wide spaces": "{a}\u3000{b}\u3000{c}", "dots": "{a}.{b}.{c}",
    "long vowels": "{a}ー{b}ー{c}", "half-width long vowels": "{a}ｰ{b}ｰ{c}", "dashes": "{a}―{b}―{c}", "minus": "{a}−{b}−{c}", "spaced": "{a} - {b} - {c}",
    "parentheses": "{a}({b}){c}", "area": "({a}){b}-{c}", "area, space": "({a}) {b}-{c}",
    "two parts": "{a}-{b}{c}", "tel": "tel:{a}{b}{c}", "TEL.": "TEL.{a}-{b}-{c}",
    "abroad": "+81{n}{b}{c}", "abroad, hyphens": "+81-{n}-{b}-{c}", "abroad, spaces": "+81 {n} {b} {c}",
    "abroad, (0)": "+81(0){n}-{b}-{c}", "tel, abroad": "tel:+81{n}{b}{c}",
}  # fmt: skip


def _forms() -> list[tuple[str, str]]:
    """Every number of the plan in every form, in half and in full width."""
    written = []
    for number in PLAN:
        a, b, c = number.split("-")
        for name, form in FORMS.items():
            text = form.format(a=a, b=b, c=c, n=a[1:])
            written += [(name, text), (f"{name}, full width", text.translate(FULL_WIDTH))]
    return written


def test_the_forms_of_the_numbering_plan_are_masked() -> None:
    written = _forms()
    missed = []
    for name, text in written:
        masked, changes = mask_personal(f"連絡先は{text}です")
        if changes != {"phone": 1} or any(char.isdecimal() for char in masked):
            missed.append((name, text))
    assert len(written) > 1000
    assert len(missed) <= 0.01 * len(written), missed[:20]


@pytest.mark.parametrize(
    "text",
    [
        *("0521234567", "052 123 4567", "070 1234 5678", "+817012345678", "tel:+815212345678", "070.1234.5678", "070ｰ1234ｰ5678", "0312345678,0312345679"),
        *(
            "090-12345678",
            "(052)1234567",
            "0120444113",
            "+81.52.123.4567",
            "03-1234-5678/03-1234-5679",
            "携帯:080-1234-5678.",
            "TEL0312345678",
            "tel=0312345678",
            "Tel.03.5123.4567",
            "03 (1234) 5678",
        ),
    ],
)
def test_other_ways_to_write_a_number(text: str) -> None:
    masked, changes = mask_personal(text)
    assert changes["phone"] == text.count(",") + text.count("/") + 1
    assert not any(char.isdecimal() for char in masked)


@pytest.mark.parametrize(
    "text",
    [
        *("2019 2020 2021", "2019 2020 2021 2022", "ISBN 0131103628", "ISBN-10: 0131103628", "ISBN4-00-000000-0", "ISBN 0312345678", "460-0001", "〒060-8588"),
        *("01 1024 2048", "052 123 4567 890", "10 052 123 4567", "1\t052 123 4567", "0123456789", "9876543210", "0000000000", "0110242048"),
        *("0333333333", "0521 234 567"),
        *("3.0521234567", "/id/0312345678/", "#0312345678", "v03.1234.5678", "2024/01/15 03:12:45", "01/02/2024", "192.168.001.001", "0x0521234567"),
        *("a0521234567", "0521234567abc", "05212345678901", "00 1234 5678"),
        *("0100 0200 0300", "0412345678", "０１　１０２４　２０４８", "03(1234-5678", "key=0312345678"),
    ],
)  # fmt: skip
def test_numbers_that_are_no_telephone_numbers(text: str) -> None:
    assert mask_personal(text) == (text, {})


@pytest.mark.parametrize(
    "text", ["ｈａｎａｋｏ＠ｋａｉｓｈａ．ｃｏ．ｊｐ", "ｔａｒｏ．ｙａｍａｄａ＠ｍａｉｌ．ｎｅ．ｊｐ", "hanako＠kaisha．co．jp", "ＴＡＲＯ@kaisha.jp"]
)
def test_full_width_addresses_are_masked_and_the_text_around_them_stays(text: str) -> None:
    assert mask_personal(f"（宛先）「{text}」へ！") == ("（宛先）「<EMAIL>」へ！", {"mail": 1})
    assert mask_personal("ｕｓｅｒ＠ｅｘａｍｐｌｅ．ｃｏｍ")[1] == {}


@examples(1000)
@given(st.text(st.sampled_from("0013458()+-−ー. /_aTtel.@\n"), max_size=60))
def test_numbers_are_found_as_by_a_search_at_every_place(text: str) -> None:
    for tried in (_KINDS[1][1], _KINDS[2][1]):
        assert isinstance(tried, partial)
        assert [match.span() for match in tried(text)] == [match.span() for match in tried.args[0].finditer(text)]
