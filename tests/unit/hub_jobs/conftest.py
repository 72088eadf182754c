"""A fresh database per test, of each kind."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adaptery_hub.database import Database
from support.databases import KINDS, empty_database
from support.hub_tables import HubTables, open_tables


@pytest.fixture(params=[KINDS[0], pytest.param(KINDS[1], marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    opened = empty_database(request.param, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
async def hub(tmp_path: Path, database: Database) -> AsyncIterator[HubTables]:
    yield open_tables(tmp_path, database=database)
