"""What `tickstream doctor` checks on this machine, before it connects: programs, config, URL, key, proxy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickstream import private_files, providers
from tickstream.cli.config import shown_url
from tickstream.cli.endpoints import DEMO_KEY, the_key, the_settings, the_url
from tickstream.cli.environment import Environment
from tickstream.cli.feed_options import FeedOptions
from tickstream.cli.wanted import sole, wanted
from tickstream.config import MAX_FILE_BYTES, Config
from tickstream.diagnosis import Examination, Fact, Finding, Status, Verdict
from tickstream.errors import ConfigError
from tickstream.keys import Secret
from tickstream.session.proxies import Proxy, choose_proxy
from tickstream.session.urls import Target, parse_target, refuse_plaintext

if TYPE_CHECKING:
    from tickstream.providers.base import ProviderSpec
    from tickstream.subscriptions import Channel

LIBRARIES = ("msgspec", "platformdirs", "rich", "typer", "websocket-client")
PROXY_VARIABLES = (
    "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip


@dataclass
class Case:
    """What is examined. The fields below `demo_url` are what the checks found, in the order of the checks."""

    env: Environment
    options: FeedOptions
    exam: Examination
    timeout_s: float | None = None
    """How long to wait for data; None: as long as the provider's data may take."""
    demo_url: str | None = None
    """The server of --demo."""
    config: Config = field(init=False)
    spec: ProviderSpec = field(init=False)
    settings: dict[str, str] = field(init=False)
    symbols: tuple[str, ...] = field(init=False)
    own_url: bool = False
    url: str = field(init=False)
    target: Target = field(init=False)
    key: Secret | None = field(init=False)
    proxy: Proxy | None = field(init=False, default=None)

    @property
    def channel(self) -> Channel:
        """What is asked for. Raises UsageError for what the provider does not have."""
        return self.options.channel_of(self.spec)

    @property
    def on_our_side(self) -> bool:
        """Whether what fails now fails at a place that the user chose: an own URL, and no proxy on the way to it."""
        return self.own_url and not (self.proxy is not None and self.exam.current in ("dns", "tcp"))


Check = Callable[[Case], Finding]
"""A check. Raises the TickstreamError that ends the examination."""


def versions() -> dict[str, str]:
    """What runs here: name -> version, tickstream first."""
    import platform
    import ssl
    from importlib.metadata import version

    from tickstream import __version__

    return {
        "tickstream": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "openssl": ssl.OPENSSL_VERSION,
        **{name: version(name) for name in LIBRARIES},
    }


def check_environment(case: Case) -> Finding:
    """Versions, and what the terminal says of itself. Nothing here can fail."""
    import locale

    env, found = case.env, versions()
    facts: dict[str, Fact] = {
        "stdout_isatty": env.stdout_isatty,
        "term": env.env.get("TERM"),
        "encoding": locale.getencoding(),
        "colour": env.colour(),
    }
    libraries = ", ".join(f"{name} {found[name]}" for name in LIBRARIES)
    stdout = f"TERM={facts['term'] or ''}" if env.stdout_isatty else "no terminal"
    detail = (
        f"tickstream {found['tickstream']}, {found['python']}, {found['system']}, {found['openssl']}; {libraries}; "
        f"stdout: {stdout}, {facts['encoding']}"
    )
    return Finding(detail, facts=facts)


def check_config(case: Case) -> Finding:
    """The config file: where it is, who can write to it, and whether it can be used."""
    case.config = case.env.config()
    case.spec = providers.load(case.options.provider or case.config.text("provider"))
    case.settings = the_settings(case.config, case.spec)
    path = case.config.path
    facts: dict[str, Fact] = {"path": str(path) if path else None, "exists": case.config.exists}
    if path is None or not case.config.exists:
        return Finding(f"none ({path} would be it)" if path else "none, and no home folder for one", facts=facts)
    file = private_files.read(path, MAX_FILE_BYTES)
    facts["mode"] = mode = f"{file.mode:04o}"
    try:
        file.require_trusted("it")
    except ConfigError as error:
        return Finding(f"{path}, mode {mode}: {error.message}", Status.WARN, Verdict.YOU, error.hint, facts)
    return Finding(f"{path}, mode {mode}", facts=facts)


def check_symbols(case: Case) -> Finding:
    """The symbols to ask for: what was named, else the config's, else one that the provider surely has."""
    options = case.options
    each = wanted(case.env, options, case.config, lambda spec: spec.common_symbols[:1])
    named = options.symbols or options.symbols_files
    if not named:  # of the config, which may name symbols of several providers
        each = [one for one in each if one.spec.name == case.spec.name] or each
    one = sole(each, "doctor")
    case.spec, case.symbols = one.spec, one.symbols
    options.check_interval([one.channel])
    case.settings = options.settings_of(case.spec, the_settings(case.config, case.spec))
    origin = "as named"
    if not named:
        origin = case.config.value("symbols").origin if case.config.symbols else "none named"
    here, elsewhere = _of_one_group(case.symbols, case.spec)
    case.symbols = here
    facts: dict[str, Fact] = {"symbols": list(here), "origin": origin, "channel": str(case.channel)}
    detail = f"{case.channel} of {listed(here)} ({origin})"
    if elsewhere:
        facts["elsewhere"] = list(elsewhere)
        detail += f"; not {listed(elsewhere)}, for which {case.spec.title} has another endpoint: examine them apart"
    return Finding(detail, facts=facts)


def _of_one_group(symbols: tuple[str, ...], spec: ProviderSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that can share a connection with the first, and the others: there is one connection only."""
    if spec.group_of is None or not symbols:
        return symbols, ()
    first = spec.group_of(symbols[0])
    here = tuple(symbol for symbol in symbols if spec.group_of(symbol) == first)
    return here, tuple(symbol for symbol in symbols if symbol not in here)


def listed(symbols: Sequence[str], most: int = 10) -> str:
    """Symbols for people: the first ones, and how many more."""
    more = f" and {len(symbols) - most} more" if len(symbols) > most else ""
    return ", ".join(symbols[:most]) + more


def check_url(case: Case) -> Finding:
    """Where to connect: well-formed, and safe to send a key to."""
    options, spec = case.options, case.spec
    value, origin = the_url(options, case.config, spec)
    if case.demo_url:
        value, origin = case.demo_url, "DEMO: a simulator on this machine"
    case.url = str(value)
    case.own_url = case.url != spec.url
    case.target = parse_target(case.url)
    refuse_plaintext(case.target, spec.key_env is not None, options.allow_plaintext)
    facts: dict[str, Fact] = {"provider": spec.name, "url": shown_url(case.url), "origin": origin}
    detail = f"{spec.title}, {shown_url(case.url)} ({origin})"
    if options.ca_file is not None:
        from tickstream.session.tls import tls_context

        tls_context(str(options.ca_file))
        facts["ca_file"] = str(options.ca_file)
        detail += f"; trusting {options.ca_file} too"
    return Finding(detail, facts=facts)


def check_key(case: Case) -> Finding:
    """Where the key comes from; nothing about the key itself."""
    if case.demo_url and case.spec.key_env is not None:
        case.key = Secret(DEMO_KEY)
        return Finding("the demo's own", facts={"origin": "demo"})
    found = the_key(case.env, case.options, case.config, case.spec, case.url)
    case.key = found.key if found else None
    if found is None:
        for_this = f" for {case.channel}" if case.spec.key_env else ""
        return Finding(f"{case.spec.title} needs none{for_this}", facts={"origin": None})
    return Finding(found.origin, facts={"origin": found.origin})


def check_proxy(case: Case) -> Finding:
    """The proxy to go through, if any, and the variables that speak of proxies. Never a password."""
    env = case.env.env
    seen = [name for name in PROXY_VARIABLES if env.get(name)]
    case.proxy = proxy = choose_proxy(case.target, env)
    facts: dict[str, Fact] = {"proxy": proxy.authority if proxy else None, "variables": seen}
    if proxy is not None:
        with_password = " with a user name" if proxy.credentials else ""
        return Finding(f"through {proxy.authority}{with_password} (set: {', '.join(seen)})", facts=facts)
    if seen:
        return Finding(f"none for this URL (set: {', '.join(seen)})", facts=facts)
    return Finding("none", facts=facts)


LOCAL_CHECKS: dict[str, Check] = {
    "environment": check_environment,
    "config": check_config,
    "symbols": check_symbols,
    "url": check_url,
    "key": check_key,
    "proxy": check_proxy,
}
