from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.sinks.terminal import (
    ASCII,
    UNICODE,
    Glyphs,
    Line,
    both_ends,
    cell_width,
    fit,
    fit_line,
    glyphs_for,
    is_dumb,
    line_width,
    sparkline,
)

WIDE = st.text(st.sampled_from("ab 東京é▲"), max_size=12)


@pytest.mark.parametrize(
    ("env", "platform", "glyphs"),
    [
        ({"LANG": "en_US.UTF-8"}, "linux", UNICODE),
        ({"LC_ALL": "C.utf8"}, "linux", UNICODE),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, "linux", ASCII),
        ({"LC_CTYPE": "de_DE.ISO-8859-1"}, "linux", ASCII),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, "linux", ASCII),
        ({}, "linux", ASCII),
        ({}, "darwin", UNICODE),
        ({}, "win32", UNICODE),
    ],
)
def test_signs_are_ascii_where_others_might_not_be_shown(env: dict[str, str], platform: str, glyphs: Glyphs) -> None:
    assert glyphs_for(env, platform) is glyphs


def test_ascii_signs_are_ascii() -> None:
    assert all(sign.isascii() for sign in ASCII)


@pytest.mark.parametrize(("env", "dumb"), [({"TERM": "xterm"}, False), ({"TERM": "dumb"}, True), ({}, True)])
def test_a_terminal_without_a_cursor_is_known_by_its_name(env: dict[str, str], dumb: bool) -> None:
    assert is_dumb(env) is dumb


@pytest.mark.parametrize(
    ("prices", "curve"),
    [
        ([b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"], "▁▂▃▄▅▆▇█"),
        ([b"1.13450", b"1.1345"], "▁▁"),
        ([b"-1", b"1e2", b"-1"], "▁█▁"),
        ([b"1"], ""),
        ([], ""),
    ],
)
def test_a_sparkline_follows_the_prices(prices: list[bytes], curve: str) -> None:
    assert sparkline(prices, 20, UNICODE) == curve


def test_a_sparkline_shows_the_last_prices_where_there_is_little_room() -> None:
    assert sparkline([b"9", b"1", b"2", b"3"], 3, UNICODE) == "▁▅█"
    assert sparkline([b"1", b"2"], 0, UNICODE) == ""


@given(WIDE, st.integers(0, 14))
def test_a_text_fits_and_shows_that_it_was_cut(text: str, width: int) -> None:
    fitted = fit(text, width, "…")
    assert cell_width(fitted) <= width
    if cell_width(text) <= width:
        assert fitted == text
    elif width:
        assert fitted.endswith("…")


@given(st.lists(st.tuples(WIDE, st.sampled_from(["", "bold"]))), st.integers(0, 30))
def test_a_line_fits_and_shows_that_it_was_cut(line: Line, width: int) -> None:
    fitted = fit_line(line, width, "…")
    assert line_width(fitted) <= width
    text = "".join(part for part, _ in fitted)
    if line_width(line) <= width:
        assert fitted == line
    elif width:
        assert text.endswith("…")


def test_the_right_part_of_a_line_goes_first() -> None:
    left, right = [("left", "bold")], [("right", "")]
    assert "".join(text for text, _ in both_ends(left, right, 12, "…")) == "left   right"
    assert both_ends(left, right, 10, "…") == left
    assert both_ends(left, right, 3, "…") == [("le…", "bold")]
