"""A fresh database per test, and an attempt that runs on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.hub_tables import HubTables, open_tables


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubTables]:
    opened = open_tables(tmp_path)
    yield opened
    opened.database.close()
