"""How byte-level vocabularies (GPT-2, SmolLM2, Llama-3) write bytes: each as one printable character (GPT-2's `bytes_to_unicode`)."""

from __future__ import annotations


def _byte_to_char() -> dict[int, str]:
    """GPT-2's table: printable Latin-1 bytes stand for themselves, the others for U+0100 upwards (openai/gpt-2, encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in printable}
    others = (byte for byte in range(256) if byte not in table)
    return table | {byte: chr(0x100 + offset) for offset, byte in enumerate(others)}


BYTE_TO_CHAR = _byte_to_char()
CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}
_TO_TEXT = {byte: ord(char) for byte, char in BYTE_TO_CHAR.items()}
_TO_BYTE = dict.fromkeys(range(0x100), 0x100) | {ord(char): byte for char, byte in CHAR_TO_BYTE.items()}  # 0x100 is no byte


def to_text(token: bytes) -> str:
    """The printable form in which a byte-level vocabulary stores `token`."""
    return token.decode("latin-1").translate(_TO_TEXT)


def to_bytes(text: str) -> bytes:
    """Inverse of `to_text`; KeyError on a character that stands for no byte."""
    try:
        return text.translate(_TO_BYTE).encode("latin-1")
    except UnicodeEncodeError as error:
        raise KeyError(text[error.start]) from None


def is_byte_text(text: str) -> bool:
    """Whether every character of `text` stands for a byte."""
    return all(char in CHAR_TO_BYTE for char in text)
