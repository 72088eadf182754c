"""Review over HTTP: analyses, findings, decisions; and what nobody learns from them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from adaptery_hub.database import tables
from support.service import Client, Service, running_service
from support.waiting import eventually

LONG = "The patient slept well, ate well and went home in the afternoon of the same day."


def chat(prompt: str, answer: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"record": {"kind": "chat", "messages": messages}}


async def filled(client: Client, *records: dict[str, Any], **fields: Any) -> str:
    dataset = await client.dataset(**fields)
    for record in records:
        await client.json("POST", f"api/datasets/{dataset}/records", 201, json=record)
    return f"api/datasets/{dataset}"


async def done(client: Client, operation: dict[str, Any]) -> dict[str, Any]:
    """Wait for an operation and return its result."""
    path = f"api/operations/{operation['id']}"

    async def ended() -> bool:
        return (await client.json("GET", path))["state"] != "running"

    await eventually(ended, timeout_seconds=60)  # a process of its own begins slowly
    end = await client.json("GET", path)
    assert end["state"] == "completed", end
    return end["result"]


async def analysed(client: Client, base: str, *queues: str, **more: Any) -> dict[str, Any]:
    asked = {"queues": queues, **more}
    return await done(client, await client.json("POST", f"{base}/review", 202, json=asked))


async def summary(client: Client, base: str, queue: str) -> dict[str, Any]:
    answer = await client.json("GET", f"{base}/review")
    return next(item for item in answer["queues"] if item["queue"] == queue)


async def test_from_analysis_to_decision_and_back(
    service: Service, demo: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = "Mail quetzal@example.org or (415) 555-2671 today."
    base = await filled(demo, chat("q", said), chat("q", LONG), chat("q", LONG))
    assert (await summary(demo, base, "pii"))["analysed_at"] is None
    result = await analysed(demo, base, "exact", "pii", "quality", "language")
    assert result == {"findings": {"exact": 2, "pii": 2, "quality": 0, "language": 0}}
    state = await summary(demo, base, "pii")
    assert (state["open"], state["stale"]) == (2, 0)
    assert state["rules"] == {"email": 1, "phone": 1}
    page = await demo.json("GET", f"{base}/review/pii?rule=email")
    (finding,) = page["items"]
    assert finding["excerpt"] == {
        "before": "Mail ",
        "match": "quetzal@example.org",
        "after": " or (415) 555-2671 today.",
    }
    assert (finding["replacement"], finding["path"]) == ("[EMAIL]", "/messages/1/content")
    assert finding["records"][0]["record"]["messages"][1]["content"] == said

    path = f"{base}/review/pii/decisions"
    asked = {"findings": [finding["id"]], "decision": "accept"}
    decided = await demo.json("POST", path, json=asked)
    assert (decided["decided"], decided["changed_records"]) == (1, 1)
    record = await demo.json("GET", f"{base}/records/1")
    assert record["record"]["messages"][1]["content"] == "Mail [EMAIL] or (415) 555-2671 today."
    assert (await summary(demo, base, "pii"))["stale"] == 0
    (listed,) = (await demo.json("GET", f"{base}/review/pii?state=decided"))["items"]
    assert listed["decided"]["by"] == "@demo" and listed["decided"]["batch"] == decided["batch"]
    undone = await demo.json("POST", f"{base}/review/pii/undo", json={})
    assert undone == {"reopened": 1, "changed_records": 1}
    assert (await summary(demo, base, "pii"))["open"] == 2
    await demo.json("POST", f"{base}/review/pii/undo", 409, json={})

    assert "quetzal" not in caplog.text
    rows = await service.services.db.read(
        lambda c: c.execute(tables.audit.select()).mappings().all()
    )
    audited = [row for row in rows if row["action"].startswith("review.")]
    assert [row["action"] for row in audited] == ["review.analyse", "review.decide", "review.undo"]
    assert "quetzal" not in str(rows)


async def test_findings_page(demo: Client) -> None:
    base = await filled(demo, *(chat("q", f"Mail a{i}@example.org today.") for i in range(5)))
    await analysed(demo, base, "pii")
    first = await demo.json("GET", f"{base}/review/pii?limit=3")
    rest = await demo.json("GET", f"{base}/review/pii?after={first['items'][-1]['id']}")
    assert [len(first["items"]), len(rest["items"])] == [3, 2]
    assert (first["has_more"], rest["has_more"], first["total"]) == (True, False, 5)
    assert len({item["id"] for item in first["items"] + rest["items"]}) == 5


async def test_many_decisions_are_an_operation(
    demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.handlers.review.AT_ONCE", 3)
    base = await filled(demo, *(chat("q", f"Mail a{i}@example.org today.") for i in range(5)))
    await analysed(demo, base, "pii")
    asked = {"all": True, "decision": "accept"}
    operation = await demo.json("POST", f"{base}/review/pii/decisions", 202, json=asked)
    assert operation["kind"] == "decide"
    result = await done(demo, operation)
    assert (result["decided"], result["changed_records"]) == (5, 5)
    operation = await demo.json("POST", f"{base}/review/pii/undo", 202, json={})
    assert await done(demo, operation) == {"reopened": 5, "changed_records": 5}
    assert (await summary(demo, base, "pii"))["open"] == 5


async def test_another_dataset_is_compared_only_by_whom_may_view_it(
    demo: Client, guest: Client, colleague: Client
) -> None:
    theirs = await filled(demo, chat("q", LONG), name="private")
    private = theirs.rsplit("/", 1)[1]
    base = await filled(
        colleague, chat("q", LONG), chat("r", "x" * 40), name="shared", tenant="radiology"
    )
    # Who may not view it learns nothing, not even that it is there.
    for other in (private, "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"):
        asked = {"queues": ["exact", "near"], "against": [other]}
        problem = await colleague.json("POST", f"{base}/review", 404, json=asked)
        assert problem["code"] == "not_found"
    await analysed(demo, base, "exact", "near", against=[private])
    mine = await demo.json("GET", f"{base}/review/exact")
    assert [r["dataset"] for r in mine["items"][0]["records"]] == [None, private]
    assert mine["items"][0]["records"][1]["record"]["messages"][1]["content"] == LONG
    # A colleague sees the same draft, and neither the match nor its count.
    empty = {"items": [], "has_more": False, "total": 0}
    assert await colleague.json("GET", f"{base}/review/exact") == empty
    assert (await summary(colleague, base, "exact"))["open"] == 0
    key = mine["items"][0]["id"]
    asked = {"findings": [key], "decision": "keep"}
    decided = await colleague.json("POST", f"{base}/review/exact/decisions", json=asked)
    assert (decided["decided"], decided["skipped"]) == (0, 1)
    await demo.json("POST", f"{base}/review/exact/decisions", json=asked)
    assert await colleague.json("GET", f"{base}/review/exact?state=decided") == empty
    assert (await summary(colleague, base, "exact"))["decided"] == 0
    await guest.json("GET", f"{base}/review", 404)


async def test_lengths(demo: Client) -> None:
    base = await filled(demo, chat("q", LONG), chat("q", LONG * 5))
    await demo.json("GET", f"{base}/review/lengths", 404)
    path = f"{base}/review/lengths"
    await demo.json("POST", path, 422, json={"base_model": "no such model"})
    assert await done(demo, await demo.json("POST", path, 202, json={})) == {"counted": 2}
    found = await demo.json("GET", f"{path}?cutoff=50")
    assert (found["tokenizer"], found["records"], found["records_cut"]) == ("estimate", 2, 1)
    assert found["tokens"] == found["median"] + found["max"]
    assert found["tokens_cut"] == found["max"] - 50
    assert sum(item["records"] for item in found["bins"]) == 2
    assert await done(demo, await demo.json("POST", path, 202, json={})) == {"counted": 0}
    await demo.json("GET", f"{path}?cutoff=0", 422)


async def test_what_is_refused(demo: Client) -> None:
    base = await filled(demo, chat("q", LONG))
    dataset = base.rsplit("/", 1)[1]
    for asked in (
        {"queues": []},
        {"queues": ["nonsense"]},
        {"options": {"threshold": 0.1}},
        {"against": [dataset]},
        {"other": 1},
    ):
        await demo.json("POST", f"{base}/review", 422, json=asked)
    for asked in (
        {"decision": "accept"},
        {"decision": "accept", "all": True, "findings": ["0" * 16]},
        {"decision": "drop", "all": True},
        {"decision": "replace", "all": True},
        {"decision": "ignore", "all": True, "forget": True},
        {"decision": "ignore", "findings": ["x"]},
    ):
        await demo.json("POST", f"{base}/review/pii/decisions", 422, json=asked)
    for queue in ("nonsense", "lengths%20"):
        await demo.json("GET", f"{base}/review/{queue}", 404)
    await demo.json("GET", f"{base}/review/pii?state=other", 422)
    await demo.json("GET", f"{base}/review/pii?after=x", 422)


async def test_an_open_finding_blocks_publishing_where_the_policy_says_so(
    tmp_path: Path,
) -> None:
    async with running_service(tmp_path / "state", publish_policy={"internal": ["pii"]}) as service:
        await check_policy(service.client("demo"))


async def check_policy(demo: Client) -> None:
    base = await filled(demo, chat("q", "Mail a@example.org today."))
    dataset = base.rsplit("/", 1)[1]
    error = (await demo.publish(dataset, "failed"))["error"]
    assert "not looked at" in error["errors"][0]["reason"]
    await analysed(demo, base, "pii")
    error = (await demo.publish(dataset, "failed"))["error"]
    assert "holds 1 finding" in error["errors"][0]["reason"]
    # Who looks for less finds less: that opens no way around the policy.
    less = {"queues": ["pii"], "options": {"pii": ["card"]}}
    begun = await demo.json("POST", f"{base}/review", 202, json=less)
    assert (await demo.ended(begun["id"]))["state"] == "completed"
    error = (await demo.publish(dataset, "failed"))["error"]
    assert "less than is usual" in error["errors"][0]["reason"]
    await analysed(demo, base, "pii")
    asked = {"all": True, "decision": "accept"}
    await demo.json("POST", f"{base}/review/pii/decisions", json=asked)
    added = {"record": {"kind": "text", "text": "added afterwards"}}
    version = (await demo.publish(dataset))["result"]["version"]
    assert version["report"]["decided"] == {"pii": 1}
    await demo.json("POST", f"{base}/records", 201, json=added)
    assert "changed" in str((await demo.publish(dataset, "failed"))["error"]["errors"])
