from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from tickstream.cli.checks import (
    LOCAL_CHECKS,
    Case,
    check_config,
    check_environment,
    check_key,
    check_proxy,
    check_symbols,
    check_url,
    listed,
)
from tickstream.cli.environment import Environment
from tickstream.cli.feed_options import FeedOptions
from tickstream.clock import FakeClock
from tickstream.diagnosis import Examination, Status, Verdict
from tickstream.errors import ConfigError, InsecureUrl, UsageError
from tickstream.keys import Secret
from tickstream.providers.tickatlas import SPEC


def case(
    config: str | None = None,
    *,
    folder: Path | None = None,
    mode: int = 0o600,
    env: Mapping[str, str] | None = None,
    options: FeedOptions | None = None,
    tty: bool = False,
) -> Case:
    """A case with this config file in this folder."""
    if config is not None:
        assert folder is not None
        (folder / "config.toml").write_text(config)
        (folder / "config.toml").chmod(mode)
    here = Environment(
        io.BytesIO(), io.BytesIO(), io.StringIO(), env or {}, stdout_isatty=tty, user_folder=lambda: folder
    )
    return Case(here, options or FeedOptions(), Examination(tuple(LOCAL_CHECKS), FakeClock(), lambda step: None))


def ready(**arguments: object) -> Case:
    """A case whose config has been looked at."""
    made = case(**arguments)  # type: ignore[arg-type]
    check_config(made)
    return made


# --- environment -----------------------------------------------------------------------------------------------------


def test_the_environment_is_versions_and_what_stdout_is() -> None:
    found = check_environment(case(env={"TERM": "xterm-256color"}, tty=True))
    assert found.status is Status.OK
    for part in ("tickstream ", "Python ", "OpenSSL", "msgspec ", "websocket-client ", "TERM=xterm-256color"):
        assert part in found.detail
    assert found.facts["colour"] is True


def test_a_pipe_is_no_terminal() -> None:
    found = check_environment(case(env={"TERM": "xterm"}))
    assert "stdout: no terminal" in found.detail
    assert found.facts["stdout_isatty"] is False


# --- config ----------------------------------------------------------------------------------------------------------


def test_no_config_file_is_fine_and_its_place_is_shown(tmp_path: Path) -> None:
    found = check_config(case(folder=tmp_path))
    assert found.detail == f"none ({tmp_path / 'config.toml'} would be it)"
    assert found.facts["exists"] is False


def test_no_place_for_a_config_file_is_fine_too() -> None:
    assert check_config(case()).detail == "none, and no home folder for one"


def test_a_config_file_is_shown_with_its_permissions(tmp_path: Path) -> None:
    found = check_config(case('tz = "UTC"\n', folder=tmp_path, mode=0o640))
    assert (found.status, found.detail) == (Status.OK, f"{tmp_path / 'config.toml'}, mode 0640")


def test_a_config_file_that_others_can_write_is_a_warning(tmp_path: Path) -> None:
    found = check_config(case('tz = "UTC"\n', folder=tmp_path, mode=0o666))
    assert (found.status, found.verdict, found.facts["mode"]) == (Status.WARN, Verdict.YOU, "0666")
    assert found.advice == f"Run: chmod go-w {tmp_path / 'config.toml'}"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("no toml", 0o600),
        ('colour = "red"\n', 0o600),
        ('[providers.tickatlas]\nkey = "tk_x_12345678"\n', 0o644),
        ('[providers.tickatlas]\nauth_field = "password"\n', 0o600),
    ],
)
def test_a_config_file_that_cannot_be_used_fails(text: str, mode: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        check_config(case(text, folder=tmp_path, mode=mode))


# --- symbols ---------------------------------------------------------------------------------------------------------


def test_named_symbols_win() -> None:
    found = check_symbols(ready(options=FeedOptions(symbols=("BTCUSD", "XAUUSD"))))
    assert found.detail == "bars of BTCUSD, XAUUSD (as named)"


def test_symbols_of_the_config_come_next(tmp_path: Path) -> None:
    made = ready(config='symbols = ["GBPUSD"]\n', folder=tmp_path)
    assert check_symbols(made).detail == f"bars of GBPUSD ({tmp_path / 'config.toml'}, line 1)"


def test_without_any_one_common_symbol_will_do() -> None:
    made = ready()
    assert check_symbols(made).detail == "bars of EURUSD (none named)"
    assert made.symbols == ("EURUSD",)


def test_of_symbols_that_cannot_share_a_connection_those_of_the_first_are_examined() -> None:
    made = case(options=FeedOptions(symbols=("BTCUSDT", "AAPL.US", "GOLD"), provider="alltick"))
    check_config(made)
    found = check_symbols(made)
    assert made.symbols == ("BTCUSDT", "GOLD")
    assert found.detail == (
        "trades of BTCUSDT, GOLD (as named); not AAPL.US, for which AllTick has another endpoint: examine them apart"
    )
    assert (found.facts["channel"], found.facts["elsewhere"]) == ("trades", ["AAPL.US"])


def test_a_malformed_symbol_is_wrong_usage() -> None:
    with pytest.raises(UsageError):
        check_symbols(ready(options=FeedOptions(symbols=("EUR#USD",))))


def test_many_symbols_are_cut() -> None:
    assert listed([str(number) for number in range(11)]).endswith("8, 9 and 1 more")
    assert listed(["a", "b"]) == "a, b"


# --- url, key, proxy -------------------------------------------------------------------------------------------------


def test_the_providers_own_url_is_the_default() -> None:
    made = ready()
    found = check_url(made)
    assert found.detail == f"TickAtlas, {SPEC.url} (default)"
    assert not made.own_url


def test_a_url_of_ones_own_is_shown_without_its_query() -> None:
    made = ready(env={"TICKSTREAM_TICKATLAS_URL": "wss://relay.example/x?key=hidden"})
    found = check_url(made)
    assert found.detail == "TickAtlas, wss://relay.example/x?*** (environment TICKSTREAM_TICKATLAS_URL)"
    assert made.own_url
    assert made.on_our_side


def test_plaintext_to_another_machine_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(InsecureUrl):
        check_url(ready(options=FeedOptions(url="ws://relay.example/")))
    check_url(ready(options=FeedOptions(url="ws://relay.example/", allow_plaintext=True)))


def test_a_ca_file_is_looked_at_before_connecting(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError):
        check_url(ready(options=FeedOptions(ca_file=tmp_path / "ca.pem")))


def test_the_keys_origin_is_all_that_is_said_of_it() -> None:
    made = ready(env={SPEC.key_env: "tk_canary_0123456789"})
    check_url(made)
    found = check_key(made)
    assert found.detail == f"environment {SPEC.key_env}"
    assert found.facts == {"origin": f"environment {SPEC.key_env}"}
    assert made.key == Secret("tk_canary_0123456789")


def test_a_missing_key_fails_unless_the_server_is_on_this_machine() -> None:
    made = ready()
    check_url(made)
    with pytest.raises(ConfigError):
        check_key(made)
    made = ready(options=FeedOptions(url="ws://127.0.0.1:1/"))
    check_url(made)
    assert "made up" in check_key(made).detail


def test_a_provider_without_keys_needs_none() -> None:
    import msgspec

    made = ready()
    made.spec = msgspec.structs.replace(SPEC, key_env=None)
    check_url(made)
    assert check_key(made).detail == "TickAtlas needs none"
    assert made.key is None


@pytest.mark.parametrize(
    ("env", "url", "detail"),
    [
        ({}, None, "none"),
        ({"https_proxy": "http://proxy.example:3128"}, None, "through proxy.example:3128 (set: https_proxy)"),
        (
            {"ALL_PROXY": "http://u:p@proxy.example:3128"},
            None,
            "through proxy.example:3128 with a user name (set: ALL_PROXY)",
        ),
        ({"http_proxy": "http://proxy.example:1"}, None, "none for this URL (set: http_proxy)"),
        (
            {"https_proxy": "http://proxy.example:1", "no_proxy": "*"},
            None,
            "none for this URL (set: https_proxy, no_proxy)",
        ),
        ({"https_proxy": "http://proxy.example:1"}, "ws://localhost/", "none for this URL (set: https_proxy)"),
    ],
)
def test_the_proxy_and_what_speaks_of_proxies_is_shown(env: Mapping[str, str], url: str | None, detail: str) -> None:
    made = ready(env=env, options=FeedOptions(url=url))
    check_url(made)
    assert check_proxy(made).detail == detail


def test_a_proxy_that_we_cannot_speak_to_fails() -> None:
    made = ready(env={"https_proxy": "socks5://proxy.example:1080"})
    check_url(made)
    with pytest.raises(ConfigError):
        check_proxy(made)
