"""A dataset that becomes restricted after it was published."""

import sqlalchemy as sa

from adaptery.schemas.common import SENSITIVITIES
from adaptery_hub.database import tables
from adaptery_hub.database.statements import versions as statements
from support.service import Client, Service, alpaca


async def test_it_is_published_again_encrypted(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5, "canaryword"))
    old = (await demo.publish(dataset))["result"]["version"]
    lines = await demo.get(f"api/versions/{old['id']}/download")
    change = {"sensitivity": SENSITIVITIES[-1]}
    await demo.json("PATCH", f"api/datasets/{dataset}", json=change)
    assert await service.services.db.read(statements.clear_restricted) == 1
    new = (await demo.publish(dataset))["result"]["version"]
    assert (new["number"], new["encrypted"], new["content_digest"]) == (
        2,
        True,
        old["content_digest"],
    )
    assert await service.services.db.read(statements.clear_restricted) == 0
    before = await demo.json("GET", f"api/versions/{old['id']}")
    assert (before["state"], before["encrypted"]) == ("withdrawn", True)
    assert "as number 2" in before["reason"]
    for version in (old, new):
        again = await demo.get(f"api/versions/{version['id']}/download")
        assert again.text == lines.text
    audit = await service.services.db.read(
        lambda c: c.execute(sa.select(tables.audit.c.thing_id, tables.audit.c.action)).all()
    )
    assert (old["id"], "version.withdraw") in [tuple(row) for row in audit]
    # Nothing of it is left in clear, and now it is published.
    folder = service.services.settings.state_path / "objects" / "datasets" / dataset
    held = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert held and not any(b"alpaca" in data or b"canaryword" in data for data in held)
    failed = await demo.publish(dataset, state="failed")
    assert failed["error"]["code"] == "version_exists" and "@2" in failed["error"]["detail"]
