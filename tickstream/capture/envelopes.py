"""The lines of a raw capture: each message of the provider, word for word, with when and on which connection it came.

    {"ts_recv":"2026-06-24T14:54:00.000000Z","session":1,"epoch":3,"payload":{"type":"quote",...}}

A message that is no JSON on one line is in `payload_base64` instead.
"""

from __future__ import annotations

import base64
from operator import itemgetter

import msgspec

from tickstream.events import Batch
from tickstream.timestamps import rfc3339

_ends = itemgetter(0, -1)
_BRACES = {(ord("{"), ord("}"))}
_LONGEST = 2**20
"""Bytes. Longer messages are not looked at; base64 holds them as well."""


def envelopes(batch: Batch) -> bytes:
    """The messages of a batch, a line each. Between braces they are JSON: the provider's protocol has read them."""
    payloads = batch.payloads
    if not payloads:
        return b""
    head = f'{{"ts_recv":"{rfc3339(batch.ts_recv)}","session":{batch.session},"epoch":{batch.epoch},"payload'.encode()
    plain = head + b'":'
    lines = plain + (b"}\n" + plain).join(payloads) + b"}\n"
    one_line_each = lines.count(b"\n") == len(payloads) and b"\r" not in lines
    if one_line_each and lines.isascii() and b"" not in payloads and set(map(_ends, payloads)) == _BRACES:
        return lines
    return b"".join(plain + p + b"}\n" if _is_one_line_of_json(p) else _encoded(head, p) for p in payloads)


def _is_one_line_of_json(payload: bytes) -> bool:
    if len(payload) > _LONGEST or b"\n" in payload or b"\r" in payload:
        return False
    try:
        payload.decode()
        msgspec.json.decode(payload, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _encoded(head: bytes, payload: bytes) -> bytes:
    return b'%b_base64":"%b"}\n' % (head, base64.b64encode(payload))
