"""Datasets from their creation to their end, over HTTP."""

import hashlib

from support.service import Client, Service, alpaca


async def test_the_journey_of_a_dataset(service: Service, demo: Client) -> None:
    dataset = await demo.dataset(description="Fictitious visits")
    file = await demo.upload(dataset, alpaca(100))
    assert (file["state"], file["records"], file["format"]) == ("ready", 100, "alpaca")
    shown = await demo.json("GET", f"api/datasets/{dataset}")
    assert (shown["full_name"], shown["records"], shown["right"]) == ("@demo/visits", 100, "manage")

    ended = await demo.publish(dataset)
    version = ended["result"]["version"]
    assert version["name"] == "@demo/visits@1"
    assert (version["records"], version["duplicates_dropped"]) == (100, 0)
    assert ended["progress"] == 1.0

    shown = await demo.json("GET", f"api/versions/{version['id']}")
    assert shown == version
    manifest = await demo.json("GET", f"api/versions/{version['id']}/manifest")
    (original,) = (f for f in manifest["files"] if f["path"].startswith("originals/"))
    assert (original["name"], original["digest"]) == (
        "visits.json",
        f"sha256:{hashlib.sha256(alpaca(100)).hexdigest()}",
    )
    assert [file["path"] for file in manifest["files"]] == [
        "README.md",
        "croissant.json",
        "data/all-00000.parquet",
        "data/all-00001.parquet",
        "data/all-00002.parquet",
        "index/record-ids.bin",
        original["path"],
        "prov.json",
        "report.json",
    ]
    page = await demo.json("GET", f"api/versions/{version['id']}/records?after=38&limit=4")
    assert [item["id"] for item in page["items"]] == ["39", "40", "41", "42"]
    assert page["items"][0]["record"]["messages"][0]["content"].startswith("Write note 38.")
    assert page["has_more"]
    lines = (await demo.get(f"api/versions/{version['id']}/download")).text.splitlines()
    assert len(lines) == 100


async def test_a_page_of_records_and_a_search(demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(30))
    base = f"api/datasets/{dataset}/records"
    first = await demo.json("GET", f"{base}?limit=20")
    rest = await demo.json("GET", f"{base}?limit=20&after={first['items'][-1]['id']}")
    assert (len(first["items"]), first["has_more"]) == (20, True)
    assert (len(rest["items"]), rest["has_more"]) == (10, False)
    found = await demo.json("POST", f"{base}/search", json={"search": "patient 7"})
    assert len(found["items"]) == 1
    assert (await demo.json("POST", f"{base}/search", json={"search": "assistant"}))["items"] == []
    await demo.json("POST", f"{base}/search", 422, json={"search": "  "})
    await demo.json("POST", f"{base}/search", json={"search": 'a" OR NEAR(b'})


async def test_records_can_be_added_changed_and_removed(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    base = f"api/datasets/{dataset}/records"
    text = {"kind": "text", "text": "a cold"}
    made = await demo.json("POST", base, 201, json={"record": text})
    changed = await demo.json(
        "PATCH", f"{base}/{made['id']}", json={"record": {"kind": "text", "text": "a cough"}}
    )
    assert changed["id"] == made["id"] and changed["record_id"] != made["record_id"]
    assert (await demo.json("POST", f"{base}/search", json={"search": "cold"}))["items"] == []
    assert len((await demo.json("POST", f"{base}/search", json={"search": "cough"}))["items"]) == 1
    assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == 1
    await demo.json("DELETE", f"{base}/{made['id']}", 204)
    await demo.json("DELETE", f"{base}/{made['id']}", 404)
    assert await service.services.drafts.read(dataset, lambda d: d.count_edits()) == 3
    problem = await demo.json("POST", base, 422, json={"record": {"kind": "poem"}})
    assert (problem["code"], problem["errors"][0]["where"]) == ("record_invalid", "kind")


async def test_a_deleted_draft_leaves_nothing(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(3, "canary-of-the-draft"))
    await demo.json("DELETE", f"api/datasets/{dataset}", 204)
    await demo.json("GET", f"api/datasets/{dataset}", 404)
    state = service.services.settings.state_path
    for path in state.rglob("*"):
        assert not (path.is_file() and b"canary-of-the-draft" in path.read_bytes()), path
    assert service.services.drafts.dataset_ids() == []
    assert await demo.dataset() != dataset  # the name is free again


async def test_a_published_dataset_is_not_deleted(demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(3))
    await demo.publish(dataset)
    problem = await demo.json("DELETE", f"api/datasets/{dataset}", 409)
    assert problem["code"] == "conflict" and problem["hint"]


async def test_a_name_is_taken_once_for_each_owner(demo: Client, colleague: Client) -> None:
    await demo.dataset("visits")
    problem = await demo.json("POST", "api/datasets", 409, json={"name": "visits"})
    assert problem["errors"][0]["where"] == "name"
    await colleague.dataset("visits")
    await demo.dataset("visits", tenant="radiology")
    await colleague.json(
        "POST", "api/datasets", 409, json={"name": "visits", "tenant": "radiology"}
    )
    await demo.json("POST", "api/datasets", 422, json={"name": "../visits"})
    names = [item["full_name"] for item in (await demo.json("GET", "api/datasets"))["items"]]
    assert names == ["@demo/visits", "radiology/visits"]


async def test_lists_page_by_id(demo: Client) -> None:
    made = [await demo.dataset(f"d{i}") for i in range(5)]
    first = await demo.json("GET", "api/datasets?limit=3")
    rest = await demo.json("GET", f"api/datasets?limit=3&after={first['items'][-1]['id']}")
    assert [item["id"] for item in first["items"] + rest["items"]] == made
    assert (first["has_more"], rest["has_more"]) == (True, False)
    for limit in ("0", "-1", "x", "1000", "1e3", ""):
        await demo.json("GET", "api/datasets", 422, params={"limit": limit})


async def test_lists_are_searched_and_ordered(demo: Client) -> None:
    made = [await demo.dataset(name) for name in ("visits", "letters", "visits-2")]
    await demo.json("PATCH", f"api/datasets/{made[0]}", json={"description": "Changed last."})

    async def names(**query: str) -> list[str]:
        found = await demo.json("GET", "api/datasets", params=query)
        return [item["name"] for item in found["items"]]

    assert await names(order="-changed") == ["visits", "visits-2", "letters"]
    assert await names(order="-changed", search="@demo/VISITS") == ["visits", "visits-2"]
    assert await names(order="-changed", after=made[0], limit="1") == ["visits-2"]
    assert await names(order="name") == ["letters", "visits", "visits-2"]
    for order in ("", "changed", "-name", "created,name"):
        problem = await demo.json("GET", "api/datasets", 422, params={"order": order})
        assert problem["errors"][0]["where"] == "order"


async def test_a_dataset_is_described_and_classified(demo: Client) -> None:
    dataset = await demo.dataset()
    changed = await demo.json(
        "PATCH", f"api/datasets/{dataset}", json={"sensitivity": "restricted"}
    )
    assert (changed["sensitivity"], changed["description"]) == ("restricted", "")
    await demo.json("PATCH", f"api/datasets/{dataset}", 422, json={"sensitivity": "secret"})
    await demo.json("PATCH", f"api/datasets/{dataset}", 422, json={"name": "other"})


async def test_an_owner_has_a_limit_of_datasets(service: Service, demo: Client) -> None:
    service.services.settings.max_datasets_per_tenant = 1
    await demo.dataset("one")
    problem = await demo.json("POST", "api/datasets", 429, json={"name": "two"})
    assert problem["code"] == "quota_exceeded"
    assert len(service.services.drafts.dataset_ids()) == 1
