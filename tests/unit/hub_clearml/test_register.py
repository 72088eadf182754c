"""The program itself against the stand-in, without the SDK: what it says of servers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adaptery_hub.clearml.program import Failed, RegisterProgram
from support.clearml_double import ACCESS_KEY, SECRET_KEY, ClearmlDouble, running_double
from support.clearml_double.server import Fault

ORDER = {"action": "link", "tag": "adaptery:dv_1"}


@pytest.fixture
async def double() -> AsyncIterator[ClearmlDouble]:
    async with running_double() as server:
        yield server


async def _told(folder: Path, url: str, secret: str = SECRET_KEY) -> Failed:
    """Return what the program says."""
    credentials = {"access_key": ACCESS_KEY, "secret_key": secret}
    api = {"api_server": url, "credentials": credentials}
    outcome = await RegisterProgram(sys.executable, folder, {"api": api}, 60).run(ORDER)
    assert isinstance(outcome, Failed)
    assert secret not in outcome.reason and url not in outcome.reason
    return outcome


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("503", "ClearML answered with HTTP status 503."),
        ("html", "What answered is not ClearML."),
        ("nonsense", "What answered is not ClearML."),
        ("reset", "ClearML cannot be reached."),
    ],
)
async def test_a_server_that_is_ill_is_away(
    double: ClearmlDouble, tmp_path: Path, fault: Fault, reason: str
) -> None:
    double.fault = fault
    assert await _told(tmp_path, double.url) == Failed("away", reason)


async def test_a_server_that_is_not_there_is_away(double: ClearmlDouble, tmp_path: Path) -> None:
    told = await _told(tmp_path, "http://127.0.0.1:9")
    assert told == Failed("away", "ClearML cannot be reached.")


async def test_wrong_keys_are_refused(double: ClearmlDouble, tmp_path: Path) -> None:
    told = await _told(tmp_path, double.url, "another-secret")
    assert told == Failed("refused", "ClearML does not know the credentials.")
    assert double.calls == ["auth.login"]
