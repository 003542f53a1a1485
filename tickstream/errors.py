"""Everything that can go wrong, as one exception tree, and the exit code of each.

    TickstreamError
    ├── UsageError                 2   the command line asks for something impossible
    ├── ConfigError                3   configuration, or no key
    ├── NetworkError              10   cannot connect, lost the connection, retries used up
    │   ├── ResolveError               the host name has no address
    │   ├── ConnectionLost             end of file, reset, close frame (code and reason kept)
    │   ├── HandshakeError             the server answered the upgrade with something else
    │   │   └── RefusedByServer        with an HTTP status that no retry mends (400, 404, 410, 426)
    │   └── SessionStale               connected, and mute
    ├── TlsError                  11   certificate or TLS failure
    ├── InsecureUrl               11   ws:// to another machine, or a redirect
    ├── ProviderError             12   the provider reports an error; `code` is its own word for it
    │   ├── InvalidKey             4
    │   ├── Forbidden              5
    │   ├── ConnectionLimit        6
    │   ├── QuotaExceeded          7
    │   ├── AuthTimeout            8
    │   ├── SymbolRefused          9
    │   └── RateLimited           16
    ├── ProtocolViolation         12   bytes that the provider's protocol, or RFC 6455, does not allow
    ├── CreditLimit                7   `--max-credits` reached
    ├── NoData                    13   nothing within `--idle-timeout`, or an empty run
    ├── OutputError               14   an output cannot be written
    ├── InputError                14   a file cannot be read, or holds nothing that can be understood
    ├── Incomplete                15   gaps or drops under `--strict`; found so by `verify`, `convert`
    └── TargetLocked              17   another run writes to this capture target

Each class carries `exit_code` and `recovery` (what the session does about it). Nothing is decided by reading the
text of an error. `str(error)` is one or two lines: what happened, what it means, what to do next.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class ExitCode(IntEnum):
    """The exit status of the process: the contract with everybody's scripts. Never renumber."""

    meaning: str

    def __new__(cls, value: int, meaning: str = "") -> ExitCode:
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "finished as asked (--count, --duration, --once, or the reader closed the pipe)"
    BUG = 1, "a bug in tickstream"
    USAGE = 2, "wrong usage: an unknown option, a malformed value"
    CONFIG = 3, "configuration is wrong, or there is no key"
    INVALID_KEY = 4, "the provider does not accept the key (invalid_key, HTTP 401)"
    FORBIDDEN = 5, "the plan does not include this (forbidden, HTTP 403)"
    CONNECTION_LIMIT = 6, "too many connections with this key (connection_limit)"
    QUOTA = 7, "credits used up (quota_exceeded with --exit-on-quota, or --max-credits reached)"
    AUTH_TIMEOUT = 8, "the provider never answered the authentication (auth_timeout)"
    REFUSED = 9, "symbol or channel refused, or over the plan's limit"
    NETWORK = 10, "network: cannot connect, or the retries are used up"
    TLS = 11, "TLS failure, or an insecure URL or redirect refused"
    PROTOCOL = 12, "the provider broke its protocol"
    NO_DATA = 13, "no data within --idle-timeout"
    OUTPUT = 14, "an output cannot be written, or a file cannot be read"
    INCOMPLETE = 15, "incomplete: gaps or drops under --strict, or what verify or convert found missing"
    RATE_LIMITED = 16, "rate limited: HTTP 429 or the provider's own error, and the retries are used up"
    LOCKED = 17, "the capture target is locked by another run"
    SIGHUP = 129, "ended by SIGHUP after a clean drain"
    SIGINT = 130, "ended by Ctrl-C (SIGINT) after a clean drain"
    SIGTERM = 143, "ended by SIGTERM after a clean drain"


class Recovery(Enum):
    """What a session does about an error."""

    FATAL = "fatal"  # stop at once; no retry can mend it
    BACKOFF = "backoff"  # reconnect, full jitter, 1 s to 60 s
    HOLD = "hold"  # wait long (30, 60, 120, 300 s): another connection has to go first
    RATE = "rate"  # wait as told by the server, then as BACKOFF


class TickstreamError(Exception):
    """Base of all errors that tickstream reports. `hint` says what to do next; `symbols` whom it concerns."""

    exit_code: ExitCode = ExitCode.BUG
    recovery: Recovery = Recovery.FATAL

    def __init__(self, message: str, *, hint: str = "", symbols: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.symbols = symbols

    @property
    def retryable(self) -> bool:
        """True where another attempt may succeed."""
        return self.recovery is not Recovery.FATAL

    def __str__(self) -> str:
        message = self.message.replace("\n", "\\n")  # it may quote a provider, which gets one line, not ours as well
        return f"{message}\n{self.hint}" if self.hint else message


class UsageError(TickstreamError):
    """The command line asks for something impossible."""

    exit_code = ExitCode.USAGE


class ConfigError(TickstreamError):
    """The configuration is wrong, a key is missing, or a file with a key is readable by others."""

    exit_code = ExitCode.CONFIG


class NetworkError(TickstreamError):
    """The network did not carry us. `retry_after_s` is the least wait the server asked for, in seconds."""

    exit_code = ExitCode.NETWORK
    recovery = Recovery.BACKOFF

    def __init__(
        self, message: str, *, hint: str = "", symbols: tuple[str, ...] = (), retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, symbols=symbols)
        self.retry_after_s = retry_after_s


class ResolveError(NetworkError):
    """The host name cannot be resolved. `unknown_host` is True when DNS says that it does not exist."""

    def __init__(self, message: str, *, hint: str = "", unknown_host: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.unknown_host = unknown_host


class ConnectionLost(NetworkError):
    """The connection ended. `close_code` is the WebSocket close code, None without a close frame."""

    def __init__(
        self, message: str, *, close_code: int | None = None, reason: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.close_code = close_code
        self.reason = reason


class HandshakeError(NetworkError):
    """The server answered the WebSocket upgrade with something else. `status` is the HTTP status, if there was one."""

    def __init__(
        self, message: str, *, hint: str = "", status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, retry_after_s=retry_after_s)
        self.status = status


class SessionStale(NetworkError):
    """The connection stands, and nothing comes: half-open, or a mute server."""


class RefusedByServer(HandshakeError):
    """An HTTP answer that no retry mends (400, 404, 410, 426)."""

    recovery = Recovery.FATAL


class TlsError(TickstreamError):
    """TLS failed: unknown authority, wrong host, expired. `verify_code` is OpenSSL's number, if any."""

    exit_code = ExitCode.TLS

    def __init__(self, message: str, *, hint: str = "", verify_code: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.verify_code = verify_code


class InsecureUrl(TickstreamError):
    """A URL that would carry the key in clear text to another machine, or a redirect to another place."""

    exit_code = ExitCode.TLS


class ProviderError(TickstreamError):
    """The provider reports an error. `code` is the provider's own word; unknown codes arrive here unchanged."""

    exit_code = ExitCode.PROTOCOL
    recovery = Recovery.BACKOFF

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        hint: str = "",
        symbols: tuple[str, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, symbols=symbols)
        self.code = code
        self.retry_after_s = retry_after_s


class InvalidKey(ProviderError):
    """The key is unknown or revoked."""

    exit_code = ExitCode.INVALID_KEY
    recovery = Recovery.FATAL


class Forbidden(ProviderError):
    """The plan does not include this."""

    exit_code = ExitCode.FORBIDDEN
    recovery = Recovery.FATAL


class ConnectionLimit(ProviderError):
    """The key already has as many connections as it may."""

    exit_code = ExitCode.CONNECTION_LIMIT
    recovery = Recovery.HOLD


class QuotaExceeded(ProviderError):
    """The day's credits are used up, and the run was asked not to wait for the reset."""

    exit_code = ExitCode.QUOTA
    recovery = Recovery.FATAL


class AuthTimeout(ProviderError):
    """The authentication was not answered in time. Retried; three in a row end the run."""

    exit_code = ExitCode.AUTH_TIMEOUT


class SymbolRefused(ProviderError):
    """Symbols or channels that the provider does not serve, or more of them than the plan allows."""

    exit_code = ExitCode.REFUSED
    recovery = Recovery.FATAL


class RateLimited(ProviderError):
    """Asked too often: HTTP 429, close code 1013."""

    exit_code = ExitCode.RATE_LIMITED
    recovery = Recovery.RATE


class ProtocolViolation(TickstreamError):
    """Bytes that RFC 6455 or the provider's protocol does not allow. `close_code` is what we close with."""

    exit_code = ExitCode.PROTOCOL
    recovery = Recovery.BACKOFF

    def __init__(self, message: str, *, hint: str = "", close_code: int = 1002) -> None:
        super().__init__(message, hint=hint)
        self.close_code = close_code


class CreditLimit(TickstreamError):
    """One more push would pass `--max-credits`."""

    exit_code = ExitCode.QUOTA


class NoData(TickstreamError):
    """No data arrived within `--idle-timeout`, or none at all."""

    exit_code = ExitCode.NO_DATA


class OutputError(TickstreamError):
    """An output cannot be written."""

    exit_code = ExitCode.OUTPUT


class InputError(TickstreamError):
    """A file, or standard input, cannot be read, or holds nothing that can be understood."""

    exit_code = ExitCode.OUTPUT


class Incomplete(TickstreamError):
    """Under `--strict`: data is known to be missing."""

    exit_code = ExitCode.INCOMPLETE


class TargetLocked(TickstreamError):
    """Another run holds the lock of this capture target."""

    exit_code = ExitCode.LOCKED
