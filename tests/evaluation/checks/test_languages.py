"""Languages, told by a sentence of each."""

from __future__ import annotations

import pytest

from jp_adapt.evaluation.checks.languages import is_in_language, language_of

SENTENCES = {
    "en": "The house that we saw is not for sale.",
    "es": "La casa que vimos no está en venta para los demás.",
    "pt": "A casa que vimos não está à venda para as pessoas.",
    "fr": "La maison que nous avons vue n'est pas à vendre.",
    "de": "Das Haus, das wir gesehen haben, ist nicht zu verkaufen.",
    "it": "La casa che abbiamo visto non è in vendita per gli altri.",
    "fi": "Talo, jonka näimme, ei ole myynnissä, mutta se on hyvä.",
    "vi": "Ngôi nhà mà chúng tôi đã thấy không được bán.",
    "sw": "Nyumba hii ni nzuri na watu wa hapa wana furaha sana.",
    "ru": "Дом, который мы видели, не продаётся, и это хорошо.",
    "uk": "Будинок, який ми бачили, не продається, і це добре.",
    "bg": "Къщата, която видяхме, не се продава, но е хубава.",
    "ar": "البيت الذي رأيناه ليس للبيع في هذه المدينة.",
    "fa": "این خانه که دیدیم برای فروش است و در شهر است.",
    "ur": "یہ گھر جو ہم نے دیکھا فروخت کے لیے نہیں ہے۔",
    "hi": "यह घर बेचने के लिए नहीं है और हम इसमें रहते हैं।",
    "mr": "हे घर विकण्यासाठी नाही आणि ते मोठे आहे.",
    "ne": "यो घर बेच्नका लागि छैन र हामी यसमा बस्छौं, पनि राम्रो छ।",
    "ja": "その家は売り物ではありません。",
    "ko": "그 집은 팔지 않습니다.",
    "th": "บ้านหลังนั้นไม่ได้ขาย",
    "el": "Το σπίτι δεν πωλείται.",
    "he": "הבית אינו למכירה.",
    "bn": "বাড়িটি বিক্রির জন্য নয়।",
    "ta": "அந்த வீடு விற்பனைக்கு இல்லை.",
    "te": "ఆ ఇల్లు అమ్మకానికి లేదు.",
    "kn": "ಆ ಮನೆ ಮಾರಾಟಕ್ಕಿಲ್ಲ.",
    "ml": "ആ വീട് വിൽപ്പനയ്ക്കില്ല.",
    "gu": "તે ઘર વેચાણ માટે નથી.",
    "pa": "ਉਹ ਘਰ ਵਿਕਾਊ ਨਹੀਂ ਹੈ।",
    "zh": "那座房子不出售。",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_is_in_its_language_and_in_no_other(language: str) -> None:
    assert language_of(SENTENCES[language]) == language
    assert [other for other in SENTENCES if is_in_language(SENTENCES[language], other)] == [language]


def test_what_has_no_letter_is_in_any_language() -> None:
    assert language_of("12:30!") is None
    assert is_in_language("12:30!", "fr")


def test_another_script_is_no_language_of_these() -> None:
    assert language_of("გამარჯობა") == "other"
    assert not is_in_language("გამარჯობა", "en")


def test_most_of_the_text_decides() -> None:
    assert language_of(f"Here it is: {SENTENCES['ja'] * 3}") == "ja"
