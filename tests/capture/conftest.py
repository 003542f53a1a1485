"""What the tests of captures share."""

from __future__ import annotations

import pytest

from tickstream.capture import buffer


@pytest.fixture(autouse=True)
def _hardly_any_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches wait less for others than in earnest: hundreds of runs begin and end here."""
    monkeypatch.setattr(buffer, "LINGER_S", 0.005)
