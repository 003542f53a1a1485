"""Settings and their origins: defaults < file < environment < flags, and nothing wrong is ignored."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream import config as config_module
from tickstream.config import ANY_TEXT, MAX_FILE_BYTES, SETTINGS, Config, Value, config_path, load, user_folder
from tickstream.errors import ConfigError, ExitCode, UsageError
from tickstream.keys import KeySettings, Secret

ALLOWED = {"auth_field": ("key", "api_key")}


@pytest.fixture
def place(tmp_path):
    return tmp_path / "config.toml"


@pytest.fixture
def read(tmp_path, place):
    """Load a configuration whose file has this text, in the user's folder."""

    def read(text: str | bytes | None = None, env: dict[str, str] | None = None, mode: int = 0o600) -> Config:
        if text is not None:
            place.write_bytes(text.encode() if isinstance(text, str) else text)
            place.chmod(mode)
        return load(env or {}, lambda: tmp_path)

    return read


class TestPrecedence:
    def test_without_a_file_everything_is_default(self, read, place):
        config = read()
        assert (config.path, config.exists) == (place, False)
        assert {name: config.value(name) for name in SETTINGS} == {
            name: Value(setting.default, "default") for name, setting in SETTINGS.items()
        }

    def test_the_file_wins_over_defaults(self, read, place):
        config = read('# a comment\noutput = "csv"\n')
        assert config.exists
        assert config.value("output") == Value("csv", f"{place}, line 2")

    def test_the_environment_wins_over_the_file(self, read):
        config = read('output = "csv"', {"TICKSTREAM_OUTPUT": "jsonl"})
        assert config.value("output") == Value("jsonl", "environment TICKSTREAM_OUTPUT")

    def test_an_empty_environment_variable_counts_as_unset(self, read):
        assert read('output = "csv"', {"TICKSTREAM_OUTPUT": ""}).text("output") == "csv"

    def test_a_flag_wins_over_all(self, read):
        config = read('on_full = "conflate"', {"TICKSTREAM_ON_FULL": "drop-oldest"})
        assert config.value("on_full", "block") == Value("block", "flag --on-full")
        assert config.text("on_full", "block") == "block"

    def test_symbols_are_a_list_in_the_file_and_words_in_the_environment(self, read):
        assert read('symbols = ["@majors", "XAUUSD"]').symbols == ("@majors", "XAUUSD")
        assert read(None, {"TICKSTREAM_SYMBOLS": "EURUSD, XAUUSD @m"}).symbols == ("EURUSD", "XAUUSD", "@m")

    @given(st.sampled_from([None, "file"]), st.sampled_from([None, "env"]), st.sampled_from([None, "flag"]))
    def test_the_last_source_that_speaks_is_in_force(self, tmp_path_factory, file, env, flag):
        folder = tmp_path_factory.mktemp("config")
        if file:
            (folder / "config.toml").write_text('provider = "file"')
        config = load({"TICKSTREAM_PROVIDER": env} if env else {}, lambda: folder)
        assert config.text("provider", flag) == (flag or env or file or "tickatlas")


class TestPath:
    def test_the_environment_names_another_file(self, tmp_path):
        other = tmp_path / "other.toml"
        other.write_text('time = "us"')
        config = load({"TICKSTREAM_CONFIG": str(other)}, lambda: None)
        assert (config.path, config.text("time")) == (other, "us")

    def test_a_named_file_that_is_missing_is_an_error(self, tmp_path):
        with pytest.raises(ConfigError, match="which TICKSTREAM_CONFIG names") as caught:
            load({"TICKSTREAM_CONFIG": str(tmp_path / "none.toml")})
        assert caught.value.exit_code is ExitCode.CONFIG
        assert "config init" in caught.value.hint

    def test_the_null_device_is_an_empty_file(self):
        assert load({"TICKSTREAM_CONFIG": os.devnull}).text("output") == "auto"

    def test_a_tilde_is_the_home_folder(self, monkeypatch):
        monkeypatch.setenv("HOME", "/home/me")
        assert config_path({"TICKSTREAM_CONFIG": "~/c.toml"}) == Path("/home/me/c.toml")
        with pytest.raises(ConfigError, match="no such home folder"):
            config_path({"TICKSTREAM_CONFIG": "~nobody-of-this-name/c.toml"})

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the XDG folder")
    def test_the_file_is_in_the_platforms_config_folder(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        assert config_path({}) == tmp_path / "tickstream" / "config.toml"
        assert user_folder() == platformdirs.user_config_path("tickstream")

    def test_without_a_home_there_is_no_file_and_no_error(self, monkeypatch):
        monkeypatch.setattr(platformdirs, "user_config_path", lambda *args, **named: Path("~/.config/tickstream"))
        assert user_folder() is None
        config = load({})
        assert (config.path, config.exists, config.text("output")) == (None, False, "auto")


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "line", "problem", "hint"),
        [
            ('outptu = "csv"', 1, "there is no setting 'outptu'", "Did you mean output?"),
            ('\nfoo_bar = "csv"', 2, "there is no setting 'foo_bar'", "Known are: output, "),
            ("output = 3", 1, "output must be text in quotes", ""),
            ('output = "jsnol"', 1, "output: 'jsnol' is none of auto, table, jsonl, csv, raw, line", ""),
            ('on_full = "spool"', 1, "on_full: 'spool' is none of block, drop-oldest, conflate", ""),
            ('tz = "Europe/Berln"', 1, "tz: 'Europe/Berln' is no time zone", ""),
            ('tz = "../../etc/passwd"', 1, "is no time zone", ""),
            ('symbols = "EURUSD"', 1, "symbols must be a list of texts", ""),
            ("symbols = [1]", 1, "symbols must be a list of texts", ""),
            ('symbols = [""]', 1, "symbols must be a list of texts", ""),
            ('watchlists = "EURUSD"', 1, "watchlists must be a table: a line [watchlists]", ""),
            ('[watchlists]\nmajors = "EURUSD"', 2, "majors must be a list of texts", ""),
            ('[watchlists]\nall = ["@majors"]', 2, "watchlist 'all' names another watchlist", "use @a @b"),
            ("providers = []", 1, "providers must be a table", ""),
            ("[providers]\ntickatlas = 1", 2, "providers.tickatlas must be a table", ""),
            ("[providers.tickatlas]\nkey = 12345", 2, "key must be text in quotes", ""),
            ('[providers.tickatlas]\nkey = ""', 2, "key must be text in quotes, and not empty", ""),
            ('[providers.tickatlas]\nkey = "a\\nb"', 2, "control characters", ""),
            ("[providers.tickatlas]\nurl = true", 2, "url must be text in quotes", ""),
            ('[providers.tickatlas]\nkey_command = "pass show"', 2, "key_command must be a list", ""),
            ("[providers.tickatlas]\nkey_command = []", 2, "key_command is empty", ""),
            ("[providers.tickatlas]\nplans = 1", 2, "plans must be a table", ""),
            ("[providers.tickatlas.plans]\npro = 1", 2, "pro must be a table", ""),
            ("[providers.tickatlas.plans.pro]\nprice = 1", 2, "there is no setting 'price'", "Did you mean price_usd?"),
            ("[providers.t.plans.pro]\nmax_symbols = -1", 2, "max_symbols must be a number that is not negative", ""),
            ("[providers.t.plans.pro]\nmax_symbols = 1.5", 2, "max_symbols must be a number", ""),
            ("[providers.t.plans.pro]\nmax_symbols = true", 2, "max_symbols must be a number", ""),
            ("[providers.t.plans.pro]\nprice_usd = nan", 2, "price_usd must be a number", ""),
            ('[providers.t.plans.pro]\nprice_usd = "unlimited"', 2, "price_usd must be a number", ""),
            ("[providers.t.plans.pro]\nstreaming = 1", 2, "streaming must be true or false", ""),
            ("x = {}}", 1, "not valid TOML", ""),
        ],
    )
    def test_what_is_wrong_is_said_with_its_line(self, read, place, text, line, problem, hint):
        with pytest.raises(ConfigError) as caught:
            read(text)
        assert problem in caught.value.message
        assert str(place) in caught.value.message
        assert f"line {line}" in caught.value.message
        assert hint in caught.value.hint
        assert "12345" not in str(caught.value)

    @pytest.mark.parametrize(
        ("env", "problem"),
        [
            ({"TICKSTREAM_OUTPUT": "jsnol"}, "environment variable TICKSTREAM_OUTPUT: 'jsnol' is none of"),
            ({"TICKSTREAM_TZ": "Nowhere"}, "environment variable TICKSTREAM_TZ: 'Nowhere' is no time zone"),
        ],
    )
    def test_a_wrong_environment_variable_is_named(self, read, env, problem):
        with pytest.raises(ConfigError, match=problem):
            read("", env)

    def test_a_wrong_flag_is_a_usage_error(self, read):
        with pytest.raises(UsageError, match="--output: 'jsnol' is none of"):
            read().value("output", "jsnol")

    def test_a_file_that_is_no_text_is_refused(self, read):
        with pytest.raises(ConfigError, match="not UTF-8"):
            read(b"\xff\xfe")

    def test_a_byte_order_mark_is_not_minded(self, read):
        assert read('\ufeffoutput = "csv"').text("output") == "csv"

    def test_a_file_of_more_than_a_mebibyte_is_refused(self, read):
        with pytest.raises(ConfigError, match="longer than"):
            read(b"#" * (MAX_FILE_BYTES + 1))

    def test_a_folder_in_place_of_the_file_is_refused(self, read, place):
        place.mkdir()
        with pytest.raises(ConfigError, match="cannot read the config file"):
            read()

    def test_a_path_with_a_nul_is_refused(self):
        with pytest.raises(ConfigError, match="cannot read the config file"):
            load({"TICKSTREAM_CONFIG": "a\0b"})

    @given(st.text(max_size=80) | st.binary(max_size=80))
    def test_any_file_is_a_configuration_or_a_config_error(self, tmp_path_factory, text):
        folder = tmp_path_factory.mktemp("config")
        path = folder / "config.toml"
        path.write_bytes(text.encode("utf-8", "replace") if isinstance(text, str) else text)
        path.chmod(0o600)
        try:
            load({}, lambda: folder)
        except ConfigError:
            return


class TestExposure:
    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
    def test_a_file_with_a_key_that_others_can_read_is_refused(self, read, place, mode):
        with pytest.raises(ConfigError, match="holds a key and can be read by others") as caught:
            read('[providers.tickatlas]\nkey = "tk_canary"', mode=mode)
        assert caught.value.hint == f"Run: chmod 600 {place}"
        assert "canary" not in str(caught.value)

    def test_a_file_with_a_command_that_others_can_change_is_refused(self, read):
        text = '[providers.tickatlas]\nkey_command = ["pass", "show", "x"]'
        assert read(text, mode=0o644).provider("tickatlas", {}).keys.key_command == ("pass", "show", "x")
        with pytest.raises(ConfigError, match="names a key_command and can be written by others"):
            read(text, mode=0o664)

    def test_a_file_without_a_key_may_be_read_by_all(self, read):
        assert read('output = "csv"', mode=0o644).text("output") == "csv"


PROVIDER = """\
[watchlists]
majors = ["EURUSD", "GBPUSD"]
[providers.tickatlas]
url = "wss://example.test/feed"
plan = "pro"
key = "tk_x"
auth_field = "api_key"
[providers.tickatlas.plans.pro]
max_symbols = "unlimited"
daily_quota = "unlimited"
credits_per_push = 4
price_usd = 79.5
streaming = true
"""


class TestProvider:
    def test_its_section_is_read(self, read, place):
        found = read(PROVIDER).provider("tickatlas", ALLOWED)
        assert found.url == Value("wss://example.test/feed", f"{place}, line 4")
        assert found.plan == Value("pro", f"{place}, line 5")
        assert found.keys == KeySettings(place, Secret("tk_x"), ())
        assert found.settings == {"auth_field": Value("api_key", f"{place}, line 7")}
        assert found.plans == {
            "pro": {
                "max_symbols": None,
                "daily_quota": None,
                "credits_per_push": 4,
                "price_usd": 79.5,
                "streaming": True,
            }
        }

    def test_without_a_section_its_settings_have_their_first_value(self, read):
        found = read().provider("tickatlas", ALLOWED)
        assert (found.url, found.plan, found.keys, dict(found.plans)) == (None, None, KeySettings(), {})
        assert found.settings == {"auth_field": Value("key", "default")}

    def test_the_environment_wins(self, read):
        env = {
            "TICKSTREAM_TICKATLAS_URL": "ws://127.0.0.1:9",
            "TICKSTREAM_TICKATLAS_PLAN": "starter",
            "TICKSTREAM_TICKATLAS_AUTH_FIELD": "key",
        }
        found = read(PROVIDER, env).provider("tickatlas", ALLOWED)
        assert found.url == Value("ws://127.0.0.1:9", "environment TICKSTREAM_TICKATLAS_URL")
        assert found.plan == Value("starter", "environment TICKSTREAM_TICKATLAS_PLAN")
        assert found.settings["auth_field"] == Value("key", "environment TICKSTREAM_TICKATLAS_AUTH_FIELD")

    def test_a_setting_that_it_does_not_have_is_refused(self, read):
        config = read('[providers.tickatlas]\nauth_fild = "key"')
        with pytest.raises(ConfigError, match="line 2: there is no setting 'auth_fild'\nDid you mean auth_field"):
            config.provider("tickatlas", ALLOWED)

    def test_a_setting_without_a_list_of_values_takes_any(self, read):
        config = read('[providers.ibkr]\ntls_pin = "AB:CD"')
        assert config.provider("ibkr", {"tls_pin": ANY_TEXT}).settings["tls_pin"].value == "AB:CD"
        assert read("").provider("ibkr", {"tls_pin": ANY_TEXT}).settings["tls_pin"] == Value("", "default")

    def test_a_value_that_it_does_not_allow_is_refused(self, read):
        config = read('[providers.tickatlas]\nauth_field = "apikey"')
        with pytest.raises(ConfigError, match="auth_field: the value is none of key, api_key\nDid you mean api_key"):
            config.provider("tickatlas", ALLOWED)
        config = read("", {"TICKSTREAM_TICKATLAS_AUTH_FIELD": "x"})
        with pytest.raises(ConfigError, match="environment TICKSTREAM_TICKATLAS_AUTH_FIELD: the value is none of"):
            config.provider("tickatlas", ALLOWED)

    def test_a_section_of_an_unknown_provider_is_refused(self, read):
        config = read('[providers.tickatals]\nplan = "pro"')
        assert config.provider_names == ("tickatals",)
        config.check_providers(lambda name: True)
        with pytest.raises(ConfigError, match="line 1: there is no provider 'tickatals'"):
            config.check_providers(lambda name: False)

    def test_origins_of_inline_tables_are_their_lines(self, read, place):
        config = read('\n[providers]\ntickatlas = {plan = "pro"}')
        assert config.origin("providers", "tickatlas", "plan") == f"{place}, line 3"
        assert config.origin("nowhere") == str(place)

    def test_watchlists_are_read(self, read):
        assert read(PROVIDER).watchlists == {"majors": ("EURUSD", "GBPUSD")}


def test_every_setting_has_an_environment_variable_of_its_name():
    assert {setting.env for setting in SETTINGS.values()} == {f"TICKSTREAM_{name.upper()}" for name in SETTINGS}
    assert all(setting.meaning for setting in SETTINGS.values())


def test_the_choices_hold_the_defaults():
    assert all(setting.default in setting.choices for setting in SETTINGS.values() if setting.choices)
    assert config_module.OUTPUTS[0] == "auto"
