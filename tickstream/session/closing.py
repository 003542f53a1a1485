"""What a close frame means (RFC 6455 section 7.4, and the IANA registry of close codes)."""

from __future__ import annotations

from tickstream.errors import ConnectionLost, Forbidden, RateLimited, TickstreamError

POLICY_RETRY_S = 30.0
"""A session that was live and is closed with 1008 (policy) comes back, but not at once."""
OVERLOAD_RETRY_S = 30.0

_WORDS = {
    1000: "the provider ended the session",
    1001: "the server is going away",
    1008: "the provider closed for a violation of its policy",
    1009: "the provider found a message of ours too big",
    1011: "the server had an internal error",
    1012: "the server restarts",
    1013: "the server is overloaded",
}


def closing_error(code: int | None, reason: str, live: bool) -> TickstreamError:
    """The error that a close frame stands for. `code` None: it carried none. `live`: data was, or was sure, to come."""
    words = _WORDS.get(code or 0, "the provider closed the connection")
    text = f"Connection closed: {words}" + (f" (code {code})" if code else "")
    text += f": {reason.rstrip('.')}." if reason else "."
    if code == 1008 and not live:
        return Forbidden(text, code="close_1008", hint="Closed before any data: check the key and the plan.")
    if code == 1013:
        return RateLimited(text, code="close_1013", retry_after_s=OVERLOAD_RETRY_S)
    return ConnectionLost(text, close_code=code, reason=reason, retry_after_s=POLICY_RETRY_S if code == 1008 else None)
