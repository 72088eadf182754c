"""What the service tells ClearML, when, and what it shows: with a child that knows no ClearML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adaptery_hub.database.statements import audit
from support.clearml_children import Child, told_by
from support.service import Client, Service, alpaca, running_service
from support.waiting import eventually

#: Seconds; children of their own, on a busy machine.
PATIENCE = 60
AWAY = {"failure": "away", "reason": "ClearML cannot be reached."}


async def _published(client: Client, name: str, **fields: Any) -> tuple[str, str]:
    dataset = await client.dataset(name, **fields)
    await client.upload(dataset, alpaca(3, name))
    operation = await client.publish(dataset, timeout_seconds=PATIENCE)
    return dataset, operation["result"]["version"]["id"]


async def _link(client: Client, version: str, state: str, **known: Any) -> Any:
    async def shown() -> Any:
        link = (await client.json("GET", f"api/versions/{version}"))["clearml"]
        held = link["state"] == state and known.items() <= link.items()
        return link if held else None

    return await eventually(shown, timeout_seconds=PATIENCE)


async def _audited(service: Service, action: str) -> list[Any]:
    rows = await service.services.db.read(lambda c: audit.rows_of(c, "service", 0, 1000))
    return [row for row in rows if row["action"] == action]


async def test_a_version_is_told_late_marked_and_named_when_it_is_erased(tmp_path: Path) -> None:
    child = Child(tmp_path / "clearml")
    child.answer(AWAY)
    async with running_service(tmp_path / "state", told_by(child)) as service:
        demo = service.client("demo")
        dataset, version = await _published(demo, "visits")
        pending = await _link(demo, version, "pending", reason=AWAY["reason"])
        assert (pending["dataset"], pending["version"]) == (None, "1")
        assert pending["next_try_at"]
        child.answer({"failure": "refused", "reason": "No."})
        await _link(demo, version, "failed", reason="No.")
        metrics = service.services.metrics.render().decode()
        assert "adaptery_clearml_waiting 1.0" in metrics
        child.answer({"dataset": "0123abc"})
        linked = await _link(demo, version, "linked", dataset="0123abc", reason=None)
        assert (linked["project"], linked["name"]) == ("Adaptery/users/demo", "visits")
        _check_order(child.orders[-1], version)
        child.answer({"dataset": "0123abc"})
        path = f"api/versions/{version}/withdraw"
        await demo.json("POST", path, json={"reason": "Consent was withdrawn."})
        marked = {"action": "mark", "dataset": "0123abc", "tags": ["withdrawn"]}
        await eventually(lambda: marked in child.orders, timeout_seconds=PATIENCE)
        begun = await demo.json(
            "POST", f"api/datasets/{dataset}/erase", 202, json={"name": "@demo/visits"}
        )
        erasure = (await demo.ended(begun["id"], PATIENCE))["result"]["erasure"]
        left = next(one for one in erasure["remains"] if one["kind"] == "clearml")
        assert left["name"] == "ClearML dataset 0123abc of @demo/visits@1" and left["why"]
        erased = {**marked, "tags": ["erased", "withdrawn"]}
        await eventually(lambda: erased in child.orders, timeout_seconds=PATIENCE)
        assert "Consent" not in str(child.orders)

        async def audited() -> bool:
            states = [
                r["details"]["state"] for r in await _audited(service, "version.clearml_mark")
            ]
            return states == ["withdrawn", "erased"]

        await eventually(audited, timeout_seconds=PATIENCE)
        [made] = await _audited(service, "version.clearml_link")
        assert made["thing_id"] == version and made["details"]["dataset"] == "0123abc"


def _check_order(order: Any, version: str) -> None:
    assert order["tag"] == f"adaptery:{version}"
    assert {"owner:@demo", "version:1"} <= set(order["tags"])
    assert any(tag.startswith("content:sha256:") for tag in order["tags"])
    assert (order["number"], order["parents"]) == ("1", [])
    paths = {one["path"].removeprefix(f"{version}/") for one in order["links"]}
    assert "manifest.json" in paths and any(path.startswith("data/") for path in paths)
    assert not any(path.startswith("originals/") for path in paths)
    assert all(one["url"].startswith("file:///") for one in order["links"])


async def test_what_must_not_be_known_stays_here_and_merges_name_their_parents(
    tmp_path: Path,
) -> None:
    child = Child(tmp_path / "clearml")
    async with running_service(tmp_path / "state", told_by(child)) as service:
        demo = service.client("demo")
        _, secret = await _published(demo, "secret", sensitivity="restricted")
        _, one = await _published(demo, "one", sensitivity="open")
        why = "not linked: ClearML is not told of restricted datasets"
        await _link(demo, secret, "not linked", reason=why)
        await _link(demo, one, "linked")
        child.answer({"dataset": "0456def"})
        merged = await demo.dataset("both", sensitivity="open")
        wanted = {"sources": [{"version": one}]}
        begun = await demo.json("POST", f"api/datasets/{merged}/merges", 202, json=wanted)
        ended = await demo.ended(begun["id"], PATIENCE)
        both = ended["result"]["version"]["id"]
        await _link(demo, both, "linked", dataset="0456def")
        assert child.orders[-1]["parents"] == ["0123abc"]
        assert secret not in str(child.orders)
        listed = await demo.json("GET", f"api/datasets/{merged}/versions")
        assert listed["items"][0]["clearml"] is None  # of one asked for alone only
        other = service.client("other")
        await other.json("GET", f"api/versions/{both}", 404)
    deaf = told_by(child, shares_files=False)
    async with running_service(tmp_path / "other", deaf) as service:
        demo = service.client("demo")
        _, version = await _published(demo, "visits")
        await _link(demo, version, "not linked", reason="not linked: the store is no S3")
    async with running_service(tmp_path / "other") as service:  # without ClearML
        demo = service.client("demo")
        assert (await demo.json("GET", f"api/versions/{version}"))["clearml"] is None
