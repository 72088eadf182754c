"""A service whose setting names another store than its files lie in."""

from pathlib import Path
from typing import Any

import pytest

from adaptery_hub.misconfiguration import check_store
from adaptery_hub.objects import place
from adaptery_hub.objects.credentials import StoreConfigurationError
from adaptery_hub.settings import ServiceSettings
from support.service import alpaca, running_service

OTHER: Any = {"object_store": "s3", "s3_bucket": "bucket"}


async def test_it_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    async with running_service(state) as service:
        demo = service.client("demo")
        moved = ServiceSettings(state_dir=str(state), **OTHER)
        # Nothing is kept yet: any store is as good.
        await service.services.db.read(lambda c: place.refuse_other(moved, c))
        dataset = await demo.dataset()
        await demo.upload(dataset, alpaca(2))
        await demo.publish(dataset)
    for role in ("PUBLISHER", "READER", "ADMIN"):
        monkeypatch.setenv(f"ADAPTERY_S3_{role}_KEY_ID", role)
        monkeypatch.setenv(f"ADAPTERY_S3_{role}_SECRET", role)
    for written in (True, False):  # as of this release, and of one from before
        if not written:
            (state / "object-store").unlink()
        with pytest.raises(ValueError, match=r"lies in filesystem.*object_store"):
            check_store({"state_dir": str(state), **OTHER})
        with pytest.raises(StoreConfigurationError, match="lies in filesystem"):
            async with running_service(state, **OTHER):
                pass
    async with running_service(state) as service:
        assert (state / "object-store").read_text() == "filesystem"
