"""Names for people's eyes."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.text import printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("IMG_0042 (1).jpg", "IMG_0042 (1).jpg"),
        ("Füße/日本 🙂.jpg", "Füße/日本 🙂.jpg"),
        ("a\x1b[31mred\x07", r"a\x1b[31mred\x07"),
        ("one\ntwo\r\tthree", r"one\x0atwo\x0d\x09three"),
        ("gpj.\u202egnp", r"gpj.\u202egnp"),
        ("zero\u200bwidth\u2028line", r"zero\u200bwidth\u2028line"),
        (os.fsdecode(b"caf\xe9.jpg"), r"caf\xe9.jpg"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("", ""),
    ],
)
def test_what_could_fool_the_eye_is_escaped(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@given(st.text(st.characters()) | st.binary().map(os.fsdecode))
def test_nothing_hidden_gets_through_and_nothing_else_changes(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    shown.encode("utf-8")
    assert printable(shown) == shown
