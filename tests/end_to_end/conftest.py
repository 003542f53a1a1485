"""The laboratory, set up at the very beginning when a test to come asks for it: its work is mostly waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.end_to_end.laboratory import Laboratory


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Laboratory]:
    """All trials, under way."""
    running = Laboratory()
    yield running
    running.close()


@pytest.fixture(scope="session", autouse=True)
def _begin_early(request: pytest.FixtureRequest) -> None:
    if any("laboratory" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("laboratory")


LONG = (
    "a_week",
    "alltick",
    "alpaca",
    "coinbase",
    "every_provider",
    "fcs",
    "flat_memory",
    "keyless",
    "polygon",
    "served_captures",
)
"""Minutes of whole processes, whose parts the other tests drive as well: only with TICKSTREAM_TEST_ALL=1."""

collect_ignore = [] if os.environ.get("TICKSTREAM_TEST_ALL") else [f"test_{name}.py" for name in LONG]
