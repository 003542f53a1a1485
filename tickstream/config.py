"""Settings, each with where it came from: defaults < config file < environment < flags. All of our paths are here.

The file is TOML, at most 1 MiB, in the user's config folder (`TICKSTREAM_CONFIG` names another). What is in it is
checked when it is read: an unknown name or a wrong type is an error with its line, never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tickstream import private_files
from tickstream.config_text import line_of, parse
from tickstream.errors import ConfigError, UsageError
from tickstream.keys import KeySettings, checked
from tickstream.suggestions import did_you_mean, shown

MAX_FILE_BYTES = 1 << 20
FILE_NAME = "config.toml"
PATH_ENV = "TICKSTREAM_CONFIG"

OUTPUTS = ("auto", "table", "jsonl", "csv", "raw", "line")
TIMES = ("iso", "us", "ns")
ON_FULL = ("block", "drop-oldest", "conflate")


class Setting(NamedTuple):
    """One setting of the top level. `choices` empty: any text. A tuple as default: a list of words."""

    name: str
    default: str | tuple[str, ...]
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def env(self) -> str:
        """Its environment variable."""
        return f"TICKSTREAM_{self.name.upper()}"


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("output", "auto", "how events are written", OUTPUTS),
        Setting("provider", "tickatlas", "whom to connect to"),
        Setting("symbols", (), "what `watch` streams when no symbol is named"),
        Setting("time", "iso", "how times are written", TIMES),
        Setting("tz", "UTC", "the time zone of what is displayed: UTC, local, or a name such as Europe/Berlin"),
        Setting("on_full", "block", "what happens to data when the reader of the output is slow", ON_FULL),
    )
}

_PROVIDER_NAMES = ("url", "plan", "key", "key_command", "plans")
_PLAN_NAMES = ("price_usd", "credits_per_push", "max_symbols", "daily_quota", "streaming")
UNLIMITED = "unlimited"
ANY_TEXT = ("",)
"""The values that a provider's own setting allows when it is for the provider to judge: a fingerprint, for one."""


class Value(NamedTuple):
    """A setting's value and its origin: `default`, `environment NAME`, `PATH, line N`, or `flag --name`."""

    value: str | tuple[str, ...]
    origin: str


class ProviderConfig(NamedTuple):
    """What is set for one provider. `settings` are the provider's own, each with one of the values it allows."""

    name: str
    url: Value | None = None
    plan: Value | None = None
    keys: KeySettings = KeySettings()
    settings: Mapping[str, Value] = {}
    plans: Mapping[str, Mapping[str, object]] = {}
    """Fields of plans -> their values, for `CreditRates.override`."""


class Config:
    """The configuration of a run. `path` is where the file is, or would be; None when there is no place for one."""

    def __init__(self, env: Mapping[str, str], path: Path | None, file: _File | None) -> None:
        self.path = path
        self.exists = file is not None
        self._env = env
        self._file = file or _File(Path(), "", {})
        self._values = {name: self._resolve(setting) for name, setting in SETTINGS.items()}
        self.watchlists: dict[str, tuple[str, ...]] = dict(self._file.watchlists())
        self._providers = dict(self._file.providers())

    def value(self, name: str, flag: str | None = None) -> Value:
        """The value in force. Raises UsageError when the flag is none of the choices."""
        if flag is None:
            return self._values[name]
        if problem := _problem(SETTINGS[name], flag):
            raise UsageError(f"--{name.replace('_', '-')}: {problem}")
        return Value(flag, f"flag --{name.replace('_', '-')}")

    def text(self, name: str, flag: str | None = None) -> str:
        """The value in force of a setting that is one word."""
        value = self.value(name, flag).value
        assert isinstance(value, str)
        return value

    @property
    def symbols(self) -> tuple[str, ...]:
        """What to stream when nothing is named: symbols and `@watchlists`."""
        value = self._values["symbols"].value
        assert isinstance(value, tuple)
        return value

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Providers that the file has a section for."""
        return tuple(self._providers)

    def provider(self, name: str, allowed: Mapping[str, tuple[str, ...]]) -> ProviderConfig:
        """What is set for a provider; `allowed` are its own settings (ProviderSpec.settings) and their values.

        `TICKSTREAM_<PROVIDER>_URL`, `..._PLAN` and `..._<SETTING>` win over the file. Raises ConfigError for a setting
        that the provider does not have, and for a value that it does not allow.
        """
        found = self._providers.get(name, ProviderConfig(name))
        for key, value in found.settings.items():
            if key not in allowed:
                raise self._file.error(("providers", name, key), _unknown(key, (*_PROVIDER_NAMES, *allowed)))
            if problem := _not_among(str(value.value), allowed[key]):
                raise self._file.error(("providers", name, key), (f"{key}: {problem[0]}", problem[1]))
        settings = dict(found.settings)
        for key, choices in allowed.items():
            if (given := self._from_env(name, key)) is not None:
                if problem := _not_among(str(given.value), choices):
                    raise ConfigError(f"{given.origin}: {problem[0]}", hint=problem[1])
                settings[key] = given
            settings.setdefault(key, Value(choices[0], "default"))
        return found._replace(
            url=self._from_env(name, "url") or found.url,
            plan=self._from_env(name, "plan") or found.plan,
            settings=settings,
        )

    def origin(self, *keys: str) -> str:
        """Where in the file this is set: path and line."""
        return self._file.origin(keys)

    def check_providers(self, is_known: Callable[[str], bool]) -> None:
        """Raises ConfigError for a section of a provider that there is not."""
        for name in self._providers:
            if not is_known(name):
                raise self._file.error(("providers", name), (f"there is no provider {shown(name)}", ""))

    def _from_env(self, provider: str, key: str) -> Value | None:
        variable = f"TICKSTREAM_{provider}_{key}".upper().replace("-", "_")
        given = self._env.get(variable)
        return Value(given, f"environment {variable}") if given else None

    def _resolve(self, setting: Setting) -> Value:
        given = self._env.get(setting.env)
        if given:
            value = given if isinstance(setting.default, str) else tuple(given.replace(",", " ").split())
            if problem := _problem(setting, value):
                raise ConfigError(f"environment variable {setting.env}: {problem}")
            return Value(value, f"environment {setting.env}")
        return self._file.setting(setting) or Value(setting.default, "default")


class _File(NamedTuple):
    """A config file that was read: finds values, checks their types, and says where they stand."""

    path: Path
    text: str
    data: dict[str, Any]

    def error(self, keys: tuple[str, ...], problem: tuple[str, str]) -> ConfigError:
        message, hint = problem
        return ConfigError(f"{self.origin(keys)}: {message}", hint=hint)

    def origin(self, keys: tuple[str, ...]) -> str:
        for end in range(len(keys), 0, -1):  # the table, where a key stands inline
            if line := line_of(self.text, keys[:end]):
                return f"{self.path}, line {line}"
        return str(self.path)

    def setting(self, setting: Setting) -> Value | None:
        if setting.name not in self.data:
            return None
        value = self.data[setting.name]
        if isinstance(setting.default, tuple):
            value = self._words((setting.name,), value)
        elif not isinstance(value, str):
            raise self.error((setting.name,), (f"{setting.name} must be text in quotes", ""))
        if problem := _problem(setting, value):
            raise self.error((setting.name,), (f"{setting.name}: {problem}", ""))
        return Value(value, self.origin((setting.name,)))

    def check_names(self) -> None:
        known = (*SETTINGS, "watchlists", "providers")
        for name in self.data:
            if name not in known:
                raise self.error((name,), _unknown(name, known))

    def watchlists(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, symbols in self._table(("watchlists",)).items():
            words = self._words(("watchlists", name), symbols)
            if any(word.startswith("@") for word in words):
                raise self.error(
                    ("watchlists", name),
                    (f"watchlist {shown(name)} names another watchlist", "Lists hold symbols only; use @a @b for two."),
                )
            yield name, words

    def providers(self) -> Iterator[tuple[str, ProviderConfig]]:
        for name in self._table(("providers",)):
            section = self._table(("providers", name))
            at = ("providers", name)
            texts = {
                key: Value(self._text((*at, key), value), self.origin((*at, key)))
                for key, value in section.items()
                if key not in ("key_command", "plans")
            }
            key = texts.pop("key", None)
            command = self._words((*at, "key_command"), section["key_command"]) if "key_command" in section else ()
            if "key_command" in section and not command:
                raise self.error((*at, "key_command"), ("key_command is empty", ""))
            secret = checked(str(key.value), key.origin) if key else None
            yield (
                name,
                ProviderConfig(
                    name,
                    url=texts.pop("url", None),
                    plan=texts.pop("plan", None),
                    keys=KeySettings(self.path, secret, command),
                    settings=texts,
                    plans={plan: dict(self._plan((*at, "plans", plan))) for plan in self._table((*at, "plans"))},
                ),
            )

    def _plan(self, at: tuple[str, ...]) -> Iterator[tuple[str, object]]:
        for name, value in self._table(at).items():
            if name not in _PLAN_NAMES:
                raise self.error((*at, name), _unknown(name, _PLAN_NAMES))
            if value == UNLIMITED and name in ("max_symbols", "daily_quota"):
                yield name, None
                continue
            kinds: tuple[type, ...] = {"streaming": (bool,), "price_usd": (int, float)}.get(name, (int,))
            if type(value) not in kinds or not 0 <= value < 10**12:
                wanted = "true or false" if name == "streaming" else "a number that is not negative"
                raise self.error((*at, name), (f"{name} must be {wanted}", ""))
            yield name, value

    def _table(self, at: tuple[str, ...]) -> dict[str, Any]:
        value: Any = self.data
        for key in at:
            value = value.get(key, {})
        if not isinstance(value, dict):
            raise self.error(at, (f"{'.'.join(at)} must be a table: a line [{'.'.join(at)}] of its own", ""))
        return value

    def _text(self, at: tuple[str, ...], value: object) -> str:
        if not isinstance(value, str) or not value:
            # The value is not shown: it may be a key.
            raise self.error(at, (f"{at[-1]} must be text in quotes, and not empty", ""))
        return value

    def _words(self, at: tuple[str, ...], value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
            raise self.error(at, (f'{at[-1]} must be a list of texts, such as ["EURUSD", "GBPUSD"]', ""))
        return tuple(value)


def _unknown(name: str, known: tuple[str, ...]) -> tuple[str, str]:
    return f"there is no setting {shown(name)}", did_you_mean(name, known) or f"Known are: {', '.join(known)}."


def _not_among(value: str, choices: tuple[str, ...]) -> tuple[str, str] | None:
    """The value is not quoted: in a provider's section it may be a key in the wrong place."""
    if value in choices or choices == ANY_TEXT:
        return None
    return f"the value is none of {', '.join(choices)}", did_you_mean(value, choices)


def _problem(setting: Setting, value: str | tuple[str, ...]) -> str:
    """What is wrong with a value; empty when it is right."""
    if setting.choices and value not in setting.choices:
        return f"{shown(str(value))} is none of {', '.join(setting.choices)}"
    if setting.name == "tz" and value not in ("UTC", "local"):
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(str(value))
        except (KeyError, ValueError, OSError):  # unknown; a path; a folder of the database
            return f"{shown(str(value))} is no time zone: UTC, local, or a name such as Europe/Berlin"
    return ""


def user_folder() -> Path | None:
    """tickstream's folder in the user's config folder; None when the user has no home."""
    import platformdirs

    path = platformdirs.user_config_path("tickstream", appauthor=False)
    return path if path.is_absolute() else None


def config_path(env: Mapping[str, str], folder: Callable[[], Path | None] = user_folder) -> Path | None:
    """Where the config file is, or would be: `TICKSTREAM_CONFIG`, or in `folder()`; None when there is no place."""
    if named := env.get(PATH_ENV):
        try:
            return Path(named).expanduser()
        except RuntimeError as error:
            raise ConfigError(f"{PATH_ENV} names {shown(named)}, and there is no such home folder") from error
    place = folder()
    return place / FILE_NAME if place else None


def load(env: Mapping[str, str], folder: Callable[[], Path | None] = user_folder) -> Config:
    """The configuration in force. No file is fine, unless TICKSTREAM_CONFIG names it.

    Raises ConfigError: unreadable, malformed, unknown names, wrong types, or a key in a file that others can read.
    """
    path = config_path(env, folder)
    try:
        file = _read(path) if path else None
    except FileNotFoundError:
        if env.get(PATH_ENV):
            raise ConfigError(
                f"there is no config file {path}, which {PATH_ENV} names", hint="Make it with: tickstream config init"
            ) from None
        file = None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ConfigError(f"cannot read the config file {path}: {getattr(error, 'strerror', error)}") from error
    return Config(env, path, file)


def _read(path: Path) -> _File:
    raw = private_files.read(path, MAX_FILE_BYTES)
    try:
        text = raw.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"the config file {path} is not UTF-8 text") from None
    file = _File(path, text, parse(text, f"the config file {path}"))
    file.check_names()
    for _, provider in file.providers():
        if provider.keys.key:
            raw.require_private(f"the config file {path} holds a key and")
        if provider.keys.key_command:
            raw.require_trusted(f"the config file {path} names a key_command and")
    return file
