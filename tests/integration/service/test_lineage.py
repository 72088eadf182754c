"""Merging, comparing, tracing, withdrawing: over HTTP, with the rights of several users."""

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from adaptery.digests import content_digest
from adaptery_hub import paging
from adaptery_hub.database import tables
from adaptery_hub.publishing.diff_cache import DiffCache
from adaptery_hub.services import REPORTS_PER_TENANT
from support.service import Client, Service, alpaca
from support.shared_things import make_adapter
from support.waiting import eventually


async def published(client: Client, name: str, content: bytes, **fields: Any) -> dict[str, Any]:
    dataset = await client.dataset(name, **fields)
    await client.upload(dataset, content)
    return (await client.publish(dataset, timeout_seconds=60))["result"]["version"]


async def merge(
    client: Client,
    dataset: str,
    sources: list[dict[str, Any]],
    state: str = "completed",
    **body: Any,
) -> Any:
    started = await client.json(
        "POST", f"api/datasets/{dataset}/merges", 202, json={"sources": sources, **body}
    )
    ended = await client.ended(started["id"], 60)
    assert ended["state"] == state, ended
    return ended["result"]["version"] if state == "completed" else ended["error"]


async def records(client: Client, version: str) -> list[dict[str, Any]]:
    path = f"api/versions/{version}/records"
    return (await client.json("GET", path, params={"limit": 200}))["items"]


async def test_a_merged_version_references_its_sources(service: Service, demo: Client) -> None:
    one = await published(demo, "one", alpaca(6))
    two = await published(demo, "two", alpaca(9))  # holds the six of the first
    dataset = await demo.dataset("both")
    sources = [
        {"version": one["name"]},
        {"version": two["id"], "sample": 8, "seed": 3, "filter": {"kind": "chat"}},
    ]
    merged = await merge(demo, dataset, sources, description="Both of them.")
    assert (merged["name"], merged["sources"]) == ("@demo/both@1", [one["id"], two["id"]])
    items = await records(demo, merged["id"])
    first = await records(demo, one["id"])
    assert [item["record_id"] for item in items[:6]] == [item["record_id"] for item in first]
    assert len(items) == merged["records"] and merged["records"] in (8, 9)
    names = [file["name"] for file in merged["report"]["files"]]
    assert names == [one["name"], two["name"]]
    manifest = await demo.json("GET", f"api/versions/{merged['id']}/manifest")
    assert not any(file["path"].endswith(".parquet") for file in manifest["files"])
    assert [source["version"] for source in manifest["sources"]] == [one["id"], two["id"]]
    assert all(source["files"] for source in manifest["sources"])
    ids = [item["record_id"] for item in items]
    assert merged["content_digest"] == content_digest(ids, manifest["recipe"])
    lines = (await demo.get(f"api/versions/{merged['id']}/download")).text.splitlines()
    assert [json.loads(line) for line in lines] == [item["record"] for item in items]
    # What is cached may go, and comes back the same.
    service.services.published._merged.clear()
    assert await records(demo, merged["id"]) == items
    again = await merge(demo, dataset, sources, state="failed")
    assert again["code"] == "version_exists"


async def test_a_merge_of_a_merge_is_read(demo: Client) -> None:
    one = await published(demo, "one", alpaca(3))
    middle = await merge(demo, await demo.dataset("middle"), [{"version": one["id"]}])
    outer = await merge(demo, await demo.dataset("outer"), [{"version": middle["id"]}])
    assert len(await records(demo, outer["id"])) == 3
    graph = await demo.json("GET", f"api/versions/{one['id']}/provenance")
    names = {node["name"] for node in graph["nodes"]}
    assert names == {"@demo/one@1", "@demo/middle@1", "@demo/outer@1", "visits.json"}


async def test_kinds_that_do_not_go_together_are_translated_or_refused(demo: Client) -> None:
    pairs = [
        {
            "conversations": [{"from": "human", "value": f"Question {n}?"}],
            "chosen": {"from": "gpt", "value": f"Good {n}."},
            "rejected": {"from": "gpt", "value": f"Bad {n}."},
        }
        for n in range(3)
    ]
    chats = await published(demo, "chats", alpaca(2))
    choices = await published(demo, "choices", json.dumps(pairs).encode())
    dataset = await demo.dataset("both")
    sources = [{"version": chats["id"]}, {"version": choices["id"]}]
    refused = await merge(demo, dataset, sources, state="failed")
    assert refused["errors"][0]["where"] == "kind"
    merged = await merge(demo, dataset, sources, kind="chat")
    assert merged["report"]["kinds"] == {"chat": 5}
    assert merged["report"]["dropped"] == {"rejected answers": 3}


async def test_nothing_is_merged_that_one_may_not_see(demo: Client, guest: Client) -> None:
    mine = await published(demo, "mine", alpaca(3))
    dataset = await guest.dataset("theirs")
    missing = "dv_01hzzzzzzzzzzzzzzzzzzzzzzz"
    answers = []
    for version in (mine["id"], missing, mine["name"], "@demo/nothing@1"):
        body = {"sources": [{"version": version}]}
        problem = await guest.json("POST", f"api/datasets/{dataset}/merges", 404, json=body)
        answers.append({**problem, "request_id": ""})
    assert answers[0] == answers[1] and answers[2] == answers[3]


async def test_sensitivity_is_inherited(demo: Client, guest: Client) -> None:
    one = await published(demo, "one", alpaca(3), sensitivity="internal")
    dataset = await demo.dataset("both", sensitivity="open")
    await merge(demo, dataset, [{"version": one["id"]}])
    path = f"api/datasets/{dataset}"
    assert (await demo.json("GET", path))["sensitivity"] == "internal"
    problem = await demo.json("PATCH", path, 409, json={"sensitivity": "open"})
    assert problem["errors"][0]["where"] == "sensitivity"
    source = f"api/datasets/{one['dataset']}"
    await demo.json("PATCH", source, json={"sensitivity": "restricted"})
    assert (await demo.json("GET", path))["sensitivity"] == "restricted"


async def test_two_versions_are_compared_word_by_word(demo: Client) -> None:
    rows = json.loads(alpaca(6))
    one = await published(demo, "one", json.dumps(rows).encode())
    rows[1]["output"] = "S: a sneeze 1."  # same prompt
    rows[3]["instruction"] = "Write a note 3."  # same place
    del rows[4]
    rows.append({"instruction": "Something else?", "output": "Quite."})
    dataset = await demo.dataset("two")
    await demo.upload(dataset, json.dumps(rows).encode())
    two = (await demo.publish(dataset))["result"]["version"]
    path = f"api/versions/{two['id']}/diff"
    diff = await demo.json("GET", path, params={"from": one["name"]})
    assert (diff["before"], diff["after"]) == ("@demo/one@1", "@demo/two@1")
    assert diff["counts"] == {"added": 1, "removed": 1, "changed": 2, "same": 3}
    assert [item["change"] for item in diff["items"]] == ["changed", "changed", "removed", "added"]
    (words,) = diff["items"][0]["words"]
    assert words["where"] == "messages[1].content"
    assert "".join(p["text"] for p in words["pieces"] if p["change"] != "added") == "S: cough 1."
    assert (
        "".join(p["text"] for p in words["pieces"] if p["change"] != "removed") == rows[1]["output"]
    )
    first = await demo.json("GET", path, params={"from": one["id"], "limit": 3})
    rest = await demo.json("GET", path, params={"from": one["id"], "limit": 3, "after": 3})
    assert first["items"] + rest["items"] == diff["items"]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    nothing = await demo.json("GET", path, params={"from": two["id"]})
    assert nothing["items"] == [] and nothing["counts"]["same"] == 6
    await demo.json("GET", path, 422)


async def test_a_page_of_differences_is_bounded_by_its_size(
    demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await published(demo, "one", alpaca(5))
    two = await published(demo, "two", alpaca(5, "fever"))
    monkeypatch.setattr(paging, "PAGE_BYTES", 1)
    path, seen, more = f"api/versions/{two['id']}/diff", [], True
    while more:
        after = {"after": seen[-1]} if seen else {}
        page = await demo.json("GET", path, params={"from": one["name"], **after})
        assert len(page["items"]) <= 2  # at least two, as any page
        seen += [item["id"] for item in page["items"]]
        more = page["has_more"]
    assert seen == ["1", "2", "3", "4", "5"]


class HeldDiffs(DiffCache):
    """Differences that wait until they are let go."""

    go_on = threading.Event()

    def path(self, before: str, after: str) -> Path:
        """See `DiffCache.path`."""
        self.go_on.wait()
        return super().path(before, after)


async def test_who_leaves_while_versions_are_compared_makes_no_room_for_more(
    service: Service, demo: Client
) -> None:
    one = await published(demo, "one", alpaca(2))
    two = await published(demo, "two", alpaca(3))
    wanted = (f"api/versions/{two['id']}/diff", {"from": one["name"]})
    service.services.diffs.__class__ = HeldDiffs
    try:
        for _ in range(REPORTS_PER_TENANT):
            with pytest.raises(httpx.ReadTimeout):
                await demo.get(wanted[0], params=wanted[1], timeout=1)
        await demo.json("GET", wanted[0], 429, params=wanted[1])
    finally:
        HeldDiffs.go_on.set()

    async def compared() -> bool:
        return (await demo.get(wanted[0], params=wanted[1])).status_code == 200

    await eventually(compared)


async def test_a_version_is_compared_with_none_that_one_may_not_see(
    demo: Client, guest: Client
) -> None:
    mine = await published(demo, "mine", alpaca(3))
    theirs = await published(guest, "theirs", alpaca(3))
    for name in (mine["id"], mine["name"], "@demo/none@1"):
        await guest.json("GET", f"api/versions/{theirs['id']}/diff", 404, params={"from": name})


async def test_a_withdrawn_version_says_why_and_is_not_used(
    demo: Client, colleague: Client
) -> None:
    one = await published(demo, "one", alpaca(3))
    merged = await merge(demo, await demo.dataset("both"), [{"version": one["id"]}])
    path = f"api/versions/{one['id']}/withdraw"
    await demo.json("POST", path, 422, json={})
    gone = await demo.json("POST", path, json={"reason": "Consent was withdrawn."})
    assert (gone["state"], gone["reason"]) == ("withdrawn", "Consent was withdrawn.")
    assert gone["withdrawn_at"]
    await demo.json("POST", path, 409, json={"reason": "Again."})
    assert len(await records(demo, one["id"])) == 3  # it stays readable
    shown = await demo.json("GET", f"api/versions/{merged['id']}")
    assert (shown["state"], shown["withdrawn_sources"]) == ("completed", 1)
    for version in (one, merged):
        body = {"sources": [{"version": version["id"]}]}
        third = await demo.dataset(f"third-{version['number']}-{version['id'][-4:].lower()}")
        await demo.json("POST", f"api/datasets/{third}/merges", 409, json=body)
        job = {"name": "notes", "dataset": version["id"]}
        problem = await demo.json("POST", "api/jobs", 422, json=job)
        assert problem["errors"][0]["where"] == "dataset"
    # The same content does not come back by another door, and the name means nothing new.
    failed = await demo.publish(one["dataset"], state="failed")
    assert "withdrawn" in failed["error"]["detail"]
    await demo.json("POST", "api/jobs", 404, json={"name": "notes", "dataset": "@demo/one"})


async def test_who_saw_a_record_is_told_within_ones_rights(
    service: Service, demo: Client, guest: Client
) -> None:
    one = await published(demo, "one", alpaca(4))
    theirs = await published(guest, "theirs", alpaca(4))
    merged = await merge(demo, await demo.dataset("both"), [{"version": one["id"]}])
    record = (await records(demo, one["id"]))[2]["record_id"]
    body = {"record_id": record}
    found = await demo.json("POST", "api/records/lineage", json=body)
    assert {seen["version"] for seen in found["versions"]} == {one["id"], merged["id"]}
    assert {seen["position"] for seen in found["versions"]} == {3}
    edge = {"source": one["id"], "target": merged["id"], "collated": []}
    assert edge in found["graph"]["edges"]
    other = await guest.json("POST", "api/records/lineage", json=body)
    assert [seen["version"] for seen in other["versions"]] == [theirs["id"]]
    nobody = {"record_id": "sha256:" + "0" * 64}
    assert (await demo.json("POST", "api/records/lineage", json=nobody))["versions"] == []


async def test_upwards_what_one_may_not_see_has_no_name(
    demo: Client, guest: Client, service: Service
) -> None:
    one = await published(demo, "one", alpaca(4))
    dataset = await demo.dataset("both")
    merged = await merge(demo, dataset, [{"version": one["id"]}])
    grant = {"principal": "@guest", "right": "view"}
    await demo.json("PUT", f"api/datasets/{dataset}/grants", json=grant)
    assert len(await records(guest, merged["id"])) == 4
    graph = await guest.json("GET", f"api/versions/{merged['id']}/provenance")
    hidden = [node for node in graph["nodes"] if node["name"] is None]
    assert [(node["id"], node["kind"], node["digest"]) for node in hidden] == [
        ("hidden-1", "version", None)
    ]
    assert "visits.json" not in json.dumps(graph) and one["id"] not in json.dumps(graph)
    edge = {"source": "hidden-1", "target": merged["id"], "collated": []}
    assert graph["edges"] == [edge]


async def test_what_was_collated_is_traced_and_hidden_from_who_may_not_see_it(
    demo: Client, guest: Client
) -> None:
    source = await demo.dataset("one")
    await demo.upload(source, alpaca(4))
    dataset = await demo.dataset("both")
    await demo.upload(dataset, alpaca(2, "fever"))
    sources = [{"dataset": source, "sample": 3, "filter": {"search": "cough"}}]
    path = f"api/datasets/{dataset}/collate"
    started = await demo.json("POST", path, 202, json={"sources": sources})
    assert (await demo.ended(started["id"]))["state"] == "completed"
    made = (await demo.publish(dataset))["result"]["version"]
    assert made["level"] == "integrity checked"
    assert {"name": "@demo/one", "records": 3} in made["report"]["files"]
    grant = {"principal": "@guest", "right": "view"}
    await demo.json("PUT", f"api/datasets/{dataset}/grants", json=grant)

    path = f"api/versions/{made['id']}"
    graph = await demo.json("GET", f"{path}/provenance")
    (node,) = (node for node in graph["nodes"] if node["kind"] == "dataset")
    assert (node["id"], node["name"]) == (source, "@demo/one")
    (edge,) = (edge for edge in graph["edges"] if edge["source"] == source)
    (collated,) = edge["collated"]
    assert (edge["target"], collated["records"]) == (made["id"], 3)
    assert collated["recipe"] == {"sample": 3, "filter": {}}  # its words are content
    files = (await demo.json("GET", path))["report"]["files"]
    assert {"name": "@demo/one", "records": 3} in files

    graph = await guest.json("GET", f"{path}/provenance")
    (edge,) = (edge for edge in graph["edges"] if edge["source"] == "hidden-1")
    assert edge["collated"] == [{"records": 3, "digest": None, "recipe": None}]
    version = await guest.json("GET", path)
    assert {"name": "another dataset", "records": 3} in version["report"]["files"]
    prov = (await guest.get(f"{path}/download", params={"file": "prov.json"})).text
    collations = [one for one in json.loads(prov)["entity"].values() if "adaptery:from" in one]
    assert [one["adaptery:records"] for one in collations] == [3]
    for told in (json.dumps(graph), json.dumps(version), prov):
        assert source not in told and "@demo/one" not in told


async def test_an_adapter_is_traced_and_flagged(
    service: Service, demo: Client, guest: Client
) -> None:
    dataset = await demo.dataset("one")
    await demo.upload(dataset, alpaca(6))
    splits = [(n, "test" if n > 4 else "train") for n in range(1, 7)]
    await service.services.drafts.write(dataset, lambda draft: draft.set_splits(splits))
    one = (await demo.publish(dataset, timeout_seconds=60))["result"]["version"]
    merged = await merge(demo, await demo.dataset("both"), [{"version": one["id"]}])
    body = {"name": "notes", "dataset": merged["id"]}
    job = (await demo.json("POST", "api/jobs", 201, json=body))["id"]
    spec = await service.services.db.read(
        lambda c: c.scalar(sa.select(tables.jobs.c.spec).where(tables.jobs.c.id == job))
    )
    (named,) = spec["inputs"]
    assert (named["split"], named["sources"]) == ("train", [one["content_digest"]])
    assert named["split_digest"]
    adapter = await make_adapter(service, demo, job)
    assert not (await demo.json("GET", f"api/adapters/{adapter}"))["withdrawn"]

    edges = {(one["id"], merged["id"]), (merged["id"], job), (job, adapter)}
    for version in (one, merged):
        graph = await demo.json("GET", f"api/versions/{version['id']}/provenance")
        assert edges <= {(edge["source"], edge["target"]) for edge in graph["edges"]}
    items = await records(demo, one["id"])
    for item, saw in ((items[0], True), (items[5], False)):
        found = await demo.json(
            "POST", "api/records/lineage", json={"record_id": item["record_id"]}
        )
        nodes = {node["id"] for node in found["graph"]["nodes"]}
        assert {one["id"], merged["id"]} <= nodes and (adapter in nodes) is saw

    # Who may use the adapter and no more learns that it is flagged, and nothing of the data.
    grant = {"principal": "@guest", "right": "use"}
    await demo.json("PUT", f"api/adapters/{adapter}/grants", json=grant)
    await demo.json("POST", f"api/versions/{one['id']}/withdraw", json={"reason": "canary"})
    shown = await guest.json("GET", f"api/adapters/{adapter}")
    assert shown["withdrawn"] and "canary" not in json.dumps(shown)
    (listed,) = (await guest.json("GET", "api/adapters"))["items"]
    assert listed["withdrawn"]
    rows = await service.services.db.read(
        lambda c: c.execute(sa.select(tables.audit)).mappings().all()
    )
    (written,) = (row for row in rows if row["action"] == "version.withdraw")
    assert written["details"]["adapters"] == 1 and "canary" not in str(rows)
