"""Names made safe for people's eyes: terminal, log, status and report show a path only through here."""

import unicodedata

# Cc control, Cf format (RTL overrides, zero-width), Cs lone surrogate, Co private, Zl/Zp line breaks
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def printable(text: str) -> str:
    r"""Escape every character that could move the cursor, change colours or reorder the line.

    Undecodable bytes (surrogates of `os.fsdecode`) become `\xNN`, other hidden characters `\uNNNN`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) not in _HIDDEN:
        return character
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
