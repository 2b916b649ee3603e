"""Which language an answer is in, by its script and, where languages share one, by their letters and most frequent words.

IFEval asks langdetect, whose answer to one text may differ from one run to the next. This asks no model and draws nothing. It knows the 30 languages that
IFEval may ask for, and their neighbours that would be taken for one of them.
"""

from __future__ import annotations

import re
from collections import Counter

# Ranges of code points -> languages that are written with them.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "A-Za-z\u00c0-\u024f\u1e00-\u1eff": ("en", "es", "pt", "fr", "de", "it", "nl", "sv", "da", "pl", "tr", "id", "ro", "fi", "vi", "sw"),
    "\u0400-\u04ff": ("ru", "uk", "bg"),
    "\u0600-\u06ff": ("ar", "fa", "ur"),
    "\u0900-\u097f": ("hi", "mr", "ne"),
    "\u0370-\u03ff": ("el",),
    "\u0590-\u05ff": ("he",),
    "\u0980-\u09ff": ("bn",),
    "\u0a00-\u0a7f": ("pa",),
    "\u0a80-\u0aff": ("gu",),
    "\u0b80-\u0bff": ("ta",),
    "\u0c00-\u0c7f": ("te",),
    "\u0c80-\u0cff": ("kn",),
    "\u0d00-\u0d7f": ("ml",),
    "\u0e00-\u0e7f": ("th",),
    "\uac00-\ud7a3": ("ko",),
    "\u3041-\u30ff\uff66-\uff9f": ("ja",),
    "\u4e00-\u9fff": ("zh",),
}
# Of languages that share a script: words, and behind a bar letters, that show them. Each counts as often as it stands there.
SIGNS: dict[str, str] = {
    "en": "the of and to in is you that it for with as are this be on your have from at by not or was but an will can we my",
    "es": "de la que el en y los las un una por con para es del se no su al lo como más pero sus este esta son está | ñ ¿ ¡",
    "pt": "de a que o e do da em um uma para com não os as no na por mais dos das se são ou foi ao ele você sua seu | ã õ",
    "fr": "de la le et les des en un une du que est pour qui dans par sur au pas ce il vous plus ne sont avec nous je à être ou l d",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie ich | ß ä ö ü",
    "it": "di che e la il un a per è in una sono del della non le si con i da come nel al più gli anche alla dei lo ma nella sul sulla delle ogni mi ti l",
    "nl": "de het een van en in is dat op te zijn met voor niet aan er om ook als maar bij door naar uit wordt je deze",
    "sv": "och att det i en som är av för på med den till inte har de om ett jag kan var från | å ä ö",
    "da": "og at det i en er som af for på med den til ikke har de om et jeg kan var fra der | å æ ø",
    "pl": "w i na z do się nie to jest że o jak od za po co są dla przez czy ale oraz | ł ą ę ś ż ź ć",
    "tr": "ve bir bu için ile da de çok olarak daha gibi en olan var ne ama her kadar | ı ş ğ ç ö ü",
    "id": "dan yang di ini untuk dengan dari adalah dalam itu pada tidak ke akan anda saya atau kami juga dapat sebagai oleh",
    "ro": "și de la în a cu pe o care nu este un din că mai pentru să ce sunt ca le prin au fi | ă ț ș",
    "fi": "ja on ei se että oli hän mutta ovat kun myös sekä joka tai niin voi sen ole kuin jos tämä minä olen | ä ö",
    "vi": "và của là có cho các được trong một với không những để người tôi này khi bạn đã đến về như cũng từ | đ ơ ư ạ ế ộ",
    "sw": "ya na wa kwa ni katika za la kuwa cha yako hii kama hiyo lakini ili au wake pia watu yake kila wao sana mimi unaweza ninaweza zaidi hizi huu",
    "ru": "и в не на что с как это по для но из к у за от мы вы я он | ы э ё",
    "uk": "і в не на що з як це для але та у до від за ми ви я він | є ї ґ і",
    "bg": "и в не на че с как за да от се са по е във като при към ние вие той | ъ ъ щ",
    "ar": "في من على إلى أن هذا التي عن مع هذه كان لا ما هو هي | ة ى أ إ ؤ ي ك",
    "fa": "در به از که این را با است برای آن یک می ها و های شما خود",
    "ur": "کے کی میں ہے اور سے کا کو پر یہ نے ہیں ایک کہ نہیں | ٹ ڈ ڑ ے ں ہ ھ",
    "hi": "के में की है और से का यह ने हैं कि नहीं लिए भी हम आप करें जो इस पर थे था तो",
    "mr": "आणि आहे च्या या ते मध्ये हे होते आहेत नाही साठी तर मी ला | ळ",
    "ne": "र मा छ लाई छन् यो गर्न पनि भएको तपाईं हामी गर्ने थियो छैन लागि हुन्छ गर्नुहोस् हुन तथा",
}
_WORD = re.compile(r"[^\W\d_]+(?:[\u0900-\u0dff]+[^\W\d_]*)*")  # the vowel signs of Indian scripts are no letters to `re`
LEAST_JAPANESE = 0.02  # of kana and kanji that are kana: text with less is Chinese


def is_in_language(text: str, language: str) -> bool:
    """Whether a text is written in a language (its ISO 639-1 code). A text without a letter is in any, as in IFEval."""
    found = language_of(text)
    return found is None or found == language


def language_of(text: str) -> str | None:
    """The language of most of a text: "en", "ja", ...; "other" for one of another script, None where there is no letter."""
    counts = {script: len(re.findall(f"[{script}]", text)) for script in SCRIPTS}
    kana, kanji = (next(number for script, number in counts.items() if SCRIPTS[script] == (language,)) for language in ("ja", "zh"))
    languages = {SCRIPTS[script]: number for script, number in counts.items() if SCRIPTS[script] not in (("ja",), ("zh",))}
    languages["ja" if kana > LEAST_JAPANESE * (kana + kanji) else "zh",] = kana + kanji
    best, number = max(languages.items(), key=lambda entry: entry[1])
    if number == 0:
        return "other" if any(char.isalpha() for char in text) else None
    return best[0] if len(best) == 1 else _by_signs(text, best)


def _by_signs(text: str, languages: tuple[str, ...]) -> str:
    """The language whose words and letters the text has most of, the first one where it has none."""
    text = text.lower()
    words, letters = Counter(_WORD.findall(text)), Counter(text)
    scores = {}
    for language in languages:
        own_words, _, own_letters = SIGNS[language].partition("|")
        scores[language] = sum(words[word] for word in own_words.split()) + sum(letters[letter] for letter in own_letters.split())
    return max(languages, key=scores.__getitem__)
