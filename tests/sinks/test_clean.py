from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.sinks.clean import clean

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.characters(max_codepoint=0x9F),
        st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]),
        st.sampled_from("\x1b\u202e\u2066\u200b\ufeff\u00ad\u061c\u180e\U000e0041"),
    )
)
REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(HOSTILE)
def test_nothing_that_controls_hides_or_reorders_reaches_the_terminal(text: str) -> None:
    cleaned = clean(text)
    for character in cleaned:
        assert character >= " "
        assert not "\x7f" <= character <= "\x9f"
        assert unicodedata.bidirectional(character) not in REORDERING
        assert unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
    cleaned.encode("utf-8")


@given(HOSTILE)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text(st.characters(categories=["L", "Nd"], max_codepoint=0x10FF)))
def test_words_of_any_script_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eevil", "\\u202eevil"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("[red]markup[/red]", "[red]markup[/red]"),
        ("Ünïcödé €", "Ünïcödé €"),
    ],
)
def test_what_is_removed_is_written_out(text: str, shown: str) -> None:
    assert clean(text) == shown
