"""Where to connect to a provider, with which key, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickstream import config, keys
from tickstream.cli.environment import Environment
from tickstream.cli.feed_options import FeedOptions
from tickstream.errors import ConfigError
from tickstream.keys import FoundKey, Secret
from tickstream.providers.base import ProviderSpec
from tickstream.session.urls import is_loopback, parse_target

if TYPE_CHECKING:
    from tickstream.session.reaching import DialOptions

DEMO_KEY = "demo"


def the_url(options: FeedOptions, settings: config.Config, spec: ProviderSpec) -> config.Value:
    """The endpoint, and where it was set. It may hold a secret in its query: never print it as it is."""
    if options.url:
        return config.Value(options.url, "flag --url")
    return settings.provider(spec.name, spec.settings).url or config.Value(spec.url, "default")


def the_key(
    env: Environment, options: FeedOptions, settings: config.Config, spec: ProviderSpec, url: str
) -> FoundKey | None:
    """The key to send and its origin, None for a provider that has none, and for a channel that streams without one.

    Where none is set, it is the provider's demo key, if it publishes one; a server on this machine (a simulator) gets a
    made-up one. Raises ConfigError when there is none.
    """
    if spec.key_env is None:
        return None
    found = keys.find_key(
        spec.name,
        spec.key_env,
        env=env.env,
        key_file=options.key_file,
        key_stdin=env.stdin if options.key_stdin else None,
        settings=settings.provider(spec.name, spec.settings).keys,
    )
    if found is not None:
        return found
    if spec.demo_key is not None:
        return FoundKey(Secret(spec.demo_key), f"the demo key that {spec.title} publishes: {spec.key_env} is not set")
    if is_loopback(parse_target(url).host):
        return FoundKey(Secret(DEMO_KEY), "made up: none is set, and the server is on this machine")
    if options.channel_of(spec) in spec.keyless:
        return None
    raise ConfigError(
        f"There is no key for {spec.title}.",
        hint=f"Set {spec.key_env}, or run `tickstream config set-key {spec.name}`; --demo needs none.",
    )


def the_settings(settings: config.Config, spec: ProviderSpec) -> dict[str, str]:
    """The provider's own settings in force, as `Feed` takes them. Raises ConfigError."""
    return {name: str(value.value) for name, value in settings.provider(spec.name, spec.settings).settings.items()}


def dial_options(env: Environment, options: FeedOptions) -> DialOptions:
    """How to connect."""
    from tickstream.session.reaching import DialOptions

    return DialOptions(
        ca_file=str(options.ca_file) if options.ca_file else None,
        env=env.env,
        allow_plaintext=options.allow_plaintext,
        max_message=options.max_message,
    )
