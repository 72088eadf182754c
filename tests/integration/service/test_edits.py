"""Editing a draft over HTTP: the log, undo and redo, and two people at one record."""

from adaptery_hub.database import tables
from support.service import Client, Service, alpaca


def text(word: str) -> dict[str, object]:
    return {"record": {"kind": "text", "text": word}}


async def test_undo_and_redo_answer_the_edit_and_the_record(demo: Client) -> None:
    dataset = await demo.dataset()
    base = f"api/datasets/{dataset}"
    made = await demo.json("POST", f"{base}/records", 201, json=text("a cold"))
    assert (made["kind"], made["length"], made["edited"]) == ("text", 6, True)
    await demo.json("PATCH", f"{base}/records/{made['id']}", json=text("a cough"))
    undone = await demo.json("POST", f"{base}/edits/undo", json={})
    assert undone["record"]["record_id"] == made["record_id"]
    edit = undone["edit"]
    assert (edit["editor"], edit["action"], edit["record"]) == ("@demo", "replace", made["id"])
    assert (edit["before"]["text"], edit["after"]["text"]) == ("a cold", "a cough")
    assert edit["undone"]
    undone = await demo.json("POST", f"{base}/edits/undo")
    assert undone["record"] is None
    assert (await demo.json("GET", base))["records"] == 0
    problem = await demo.json("POST", f"{base}/edits/undo", 409, json={})
    assert problem["code"] == "conflict" and problem["hint"]
    for _ in range(2):
        redone = await demo.json("POST", f"{base}/edits/redo", json={})
    assert redone["record"]["record"]["text"] == "a cough" and not redone["edit"]["undone"]
    assert (await demo.json("GET", base))["records"] == 1
    await demo.json("POST", f"{base}/edits/redo", 409, json={})
    await demo.json("POST", f"{base}/edits/redo", 422, json={"seq": 1})


async def test_edits_are_listed_for_all_who_see_the_draft(demo: Client, colleague: Client) -> None:
    dataset = await demo.dataset(tenant="radiology")
    base = f"api/datasets/{dataset}"
    await demo.json("POST", f"{base}/records", 201, json=text("mine"))
    await colleague.json("POST", f"{base}/records", 201, json=text("theirs"))
    await colleague.json("POST", f"{base}/edits/undo", json={})
    first = await demo.json("GET", f"{base}/edits?limit=1")
    assert [(e["editor"], e["undone"]) for e in first["items"]] == [("@colleague", True)]
    rest = await demo.json("GET", f"{base}/edits?after={first['items'][0]['id']}")
    assert [(e["editor"], e["undone"]) for e in rest["items"]] == [("@demo", False)]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    await demo.json("GET", f"{base}/edits", 422, params={"after": "x"})


async def test_nobody_overwrites_what_they_have_not_seen(demo: Client, colleague: Client) -> None:
    dataset = await demo.dataset(tenant="radiology")
    base = f"api/datasets/{dataset}"
    made = await demo.json("POST", f"{base}/records", 201, json=text("a cold"))
    path, seen = f"{base}/records/{made['id']}", made["record_id"]
    theirs = await colleague.json("PATCH", path, json={**text("a cough"), "expected": seen})
    problem = await demo.json("PATCH", path, 409, json={**text("a fever"), "expected": seen})
    assert problem["code"] == "record_changed" and problem["hint"]
    assert "cough" not in str(problem)
    again = await demo.json("PATCH", path, json={**text("a cough"), "expected": seen})
    assert again == theirs
    await demo.json("DELETE", path, 409, params={"expected": seen})
    problem = await demo.json("POST", f"{base}/edits/undo", 409, json={})
    assert problem["code"] == "record_changed"
    for wrong in ("x", "sha256:" + "A" * 64, seen[:-1]):
        await demo.json("DELETE", path, 422, params={"expected": wrong})
        await demo.json("PATCH", path, 422, json={**text("a fever"), "expected": wrong})
    await demo.json("DELETE", path, 204, params={"expected": theirs["record_id"]})
    await demo.json("DELETE", path, 404, params={"expected": theirs["record_id"]})
    assert len((await demo.json("GET", f"{base}/edits"))["items"]) == 3


async def test_a_record_sent_twice_is_added_once(demo: Client) -> None:
    base = f"api/datasets/{await demo.dataset()}/records"
    sent = {**text("a cold"), "key": "k-1_A"}
    first = await demo.json("POST", base, 201, json=sent)
    assert await demo.json("POST", base, 201, json=sent) == first
    problem = await demo.json("POST", base, 409, json={**sent, **text("a cough")})
    assert problem["errors"][0]["where"] == "key" and "cold" not in str(problem)
    assert (await demo.json("GET", base))["total"] == 1
    for key in ("", "a b", "k" * 65, "é", 1):
        await demo.json("POST", base, 422, json={**text("a cold"), "key": key})


async def test_a_viewer_sees_edits_and_undoes_none(
    service: Service, demo: Client, guest: Client
) -> None:
    from adaptery.ids import new_id
    from adaptery.times import now

    dataset = await demo.dataset()
    base = f"api/datasets/{dataset}"
    await demo.json("POST", f"{base}/records", 201, json=text("a cold"))
    ids = [(await client.json("GET", "api/whoami"))["id"] for client in (guest, demo)]
    grant = {"principal_id": ids[0], "creator_id": ids[1], "thing_id": dataset, "right": 2}
    statement = tables.grants.insert().values(id=new_id("gr"), created_at=now(), **grant)
    await service.services.db.write(lambda c: c.execute(statement))
    # What was removed before the dataset was shared stays unknown to whoever it is shared with.
    await demo.json("PATCH", f"{base}/records/1", json=text("a cough"))
    await demo.json("DELETE", f"{base}/records/1", 204)
    seen = (await guest.json("GET", f"{base}/edits"))["items"]
    assert [(e["editor"], e["action"], e["record"]) for e in seen] == [
        ("@demo", action, "1") for action in ("remove", "replace", "add")
    ]
    assert all(e["before"] is None and e["after"] is None for e in seen)
    assert (await demo.json("GET", f"{base}/edits"))["items"][0]["before"]["text"] == "a cough"
    for step in ("undo", "redo"):
        await guest.json("POST", f"{base}/edits/{step}", 403, json={})


async def test_any_part_of_the_table_of_records(demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(30))
    base = f"api/datasets/{dataset}/records"
    await demo.json("POST", base, 201, json=text("a note"))
    await demo.json("POST", base, 201, json=text("a note"))

    async def search(**wanted: object) -> tuple[list[str], int, bool]:
        answer = await demo.json("POST", f"{base}/search", json=wanted)
        return [item["id"] for item in answer["items"]], answer["total"], answer["has_more"]

    async def page(**query: object) -> tuple[list[str], int, bool]:
        answer = await demo.json("GET", base, params=query)
        found = [item["id"] for item in answer["items"]], answer["total"], answer["has_more"]
        if "after" in query:
            query["after"] = str(query["after"])
        assert await search(**query) == found
        return found

    assert await page(offset=29, limit=2) == (["30", "31"], 32, True)
    assert await page(offset=40) == ([], 32, False)
    assert await page(after=30) == (["31", "32"], 32, False)
    assert await page(order="-position", limit=1) == (["32"], 32, True)
    assert await page(order="length", limit=2) == (["31", "32"], 32, True)
    assert await page(kind="text", order="-changed") == (["32", "31"], 2, False)
    assert await page(edited="true") == (["31", "32"], 2, False)
    assert await page(duplicates="true") == (["31", "32"], 2, False)
    assert await search(search="pat", kind="chat", offset=28) == (["29", "30"], 30, False)


async def test_the_words_of_a_search_stand_in_no_address(demo: Client, guest: Client) -> None:
    base = f"api/datasets/{await demo.dataset()}/records"
    problem = await demo.json("GET", base, 422, params={"search": "a cold"})
    assert "cold" not in str(problem)
    await guest.json("POST", f"{base}/search", 404, json={"search": "a cold"})
    for wrong in (
        {"search": ""},
        {"search": "a " * 17},
        {"limit": 201},
        {"after": "x"},
        {"after": "9" * 19},
        {"offset": -1},
        {"offset": 10**18},
        {"order": "size"},
        {"after": "1", "offset": 0},
        {"after": "1", "order": "length"},
        {"kind": "poem"},
        {"words": "a"},
    ):
        await demo.json("POST", f"{base}/search", 422, json=wrong)


async def test_what_a_list_of_records_cannot_be_asked(demo: Client) -> None:
    base = f"api/datasets/{await demo.dataset()}/records"
    for query, where, names in (
        ({"kind": "poem"}, "kind", "chat, text, preference"),
        ({"order": "size"}, "order", "-changed"),
        ({"edited": "yes"}, "edited", "true"),
        ({"duplicates": ""}, "duplicates", "true"),
        ({"offset": "-1"}, "offset", "number"),
        ({"offset": "9" * 19}, "offset", "number"),
        ({"after": "1", "offset": "0"}, "after", "offset"),
        ({"after": "1", "order": "length"}, "after", "offset"),
        ({"after": "1", "order": "-position"}, "after", "offset"),
    ):
        problem = await demo.json("GET", base, 422, params=query)
        (error,) = problem["errors"]
        assert error["where"] == where and names in error["remedy"], query
