"""The config file as text: lines of keys, and the edit that changes one thing."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.config_text import TEMPLATE, line_of, parse, with_key
from tickstream.errors import ConfigError

FILE = """\
output = "csv"   # line 1

[watchlists]
majors = ["EURUSD",
          "GBPUSD"]

[ providers . tickatlas ] # line 7
'auth_field' = "key"
plans.pro.price_usd = 79

[providers."other"]
key = "x"
[providers.tickatlas.plans.starter]
price_usd = 29
"""

printable_keys = st.text(min_size=1, max_size=40).filter(lambda key: key.isprintable() and key.strip() == key)


class TestLineOf:
    @pytest.mark.parametrize(
        ("keys", "line"),
        [
            (("output",), 1),
            (("watchlists",), 3),
            (("watchlists", "majors"), 4),
            (("providers", "tickatlas"), 7),
            (("providers",), 7),
            (("providers", "tickatlas", "auth_field"), 8),
            (("providers", "tickatlas", "plans", "pro", "price_usd"), 9),
            (("providers", "other", "key"), 12),
            (("providers", "tickatlas", "plans", "starter", "price_usd"), 14),
            (("nothing",), None),
            (("key",), None),
        ],
    )
    def test_a_key_is_found_where_it_is_set(self, keys, line):
        assert line_of(FILE, keys) == line


class TestParse:
    @pytest.mark.parametrize("text", ["output = csv", "a = 1\na = 2", "[x", "x = \x01"])
    def test_malformed_toml_is_an_error_with_its_line(self, text):
        with pytest.raises(ConfigError, match=r"^c\.toml is not valid TOML: .*\(at (line 1|line 2|end)"):
            parse(text, "c.toml")

    def test_absurd_nesting_is_an_error(self):
        with pytest.raises(ConfigError, match="nested too deeply"):
            parse("x = " + "[" * 100_000, "c.toml")

    def test_absurd_numbers_are_an_error(self):
        with pytest.raises(ConfigError, match="not valid TOML"):
            parse("x = " + "9" * 5000, "c.toml")

    def test_the_error_does_not_quote_the_text(self):
        with pytest.raises(ConfigError) as caught:
            parse("key = canary", "c.toml")
        assert "canary" not in str(caught.value)

    @given(st.text(max_size=60))
    def test_any_text_is_a_document_or_a_config_error(self, text):
        try:
            assert isinstance(parse(text, "c.toml"), dict)
        except ConfigError:
            return


class TestTemplate:
    def test_it_sets_nothing_as_it_is(self):
        assert parse(TEMPLATE, "") == {"watchlists": {}, "providers": {"tickatlas": {}}}

    def test_without_its_comment_signs_it_is_valid_too(self):
        prose = ("# tickstream's", "# Show", "# The key is looked", "# A plan's")
        lines = [line if line.startswith(prose) else line.removeprefix("# ") for line in TEMPLATE.splitlines()]
        data = parse("\n".join(lines), "")
        assert data["watchlists"] == {"majors": ["EURUSD", "GBPUSD", "USDJPY"]}
        assert data["providers"]["tickatlas"]["plans"]["pro"]["max_symbols"] == 50


class TestWithKey:
    def test_the_key_goes_under_its_providers_line_and_nothing_else_changes(self):
        changed = with_key(TEMPLATE, "tickatlas", "tk_x")
        assert changed.replace('key = "tk_x"\n', "", 1) == TEMPLATE
        assert tomllib.loads(changed)["providers"]["tickatlas"] == {"key": "tk_x"}

    def test_an_old_key_is_replaced_in_its_line(self):
        changed = with_key(FILE, "other", "new")
        assert changed == FILE.replace('key = "x"', 'key = "new"')

    def test_a_last_line_without_an_end_stays_without(self):
        assert with_key('[providers.p]\nkey = "a"', "p", "b") == '[providers.p]\nkey = "b"'

    def test_a_missing_section_is_appended(self):
        assert with_key("", "p", "k") == '[providers.p]\nkey = "k"\n'
        assert with_key('output = "csv"\n', "p", "k") == 'output = "csv"\n\n[providers.p]\nkey = "k"\n'
        assert with_key('output = "csv"', "p", "k") == 'output = "csv"\n\n[providers.p]\nkey = "k"\n'

    def test_windows_line_ends_stay(self):
        changed = with_key('output = "csv"\r\n[providers.p]\r\nplan = "pro"\r\n', "p", "k")
        assert changed == 'output = "csv"\r\n[providers.p]\nkey = "k"\nplan = "pro"\r\n'

    @pytest.mark.parametrize(
        "text",
        [
            "providers = {p = {plan = 'pro'}}\n",
            "[providers]\np = {plan = 'pro'}\n",
            '[providers.p]\nkey = """\nold"""\n',
            "[[providers.p]]\n",
        ],
    )
    def test_what_cannot_be_edited_safely_is_left_alone(self, text):
        with pytest.raises(ConfigError, match="cannot be edited safely"):
            with_key(text, "p", "k")

    def test_a_malformed_file_is_not_edited(self):
        with pytest.raises(ConfigError, match="not valid TOML"):
            with_key("[providers.p\n", "p", "k")

    @given(printable_keys, printable_keys)
    def test_any_key_can_be_set_and_set_again(self, first, second):
        once = with_key(FILE, "tickatlas", first)
        twice = with_key(once, "tickatlas", second)
        expected = tomllib.loads(FILE)
        expected["providers"]["tickatlas"]["key"] = second
        assert tomllib.loads(twice) == expected
