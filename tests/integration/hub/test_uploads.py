"""A wrong upload gets a clear error and leaves nothing."""

import json

import pytest

from support.api import Api, alpaca

BAD = {
    "binary": (bytes(range(256)) * 40, "x.json", 422),
    "truncated": (alpaca(5)[:-40], "x.json", 422),
    "wrong columns": (json.dumps([{"a": 1}, {"b": 2}]).encode(), "x.json", 422),
    "empty": (b"", "x.json", 422),
    "too large": (b"[" + b" " * (3 * 1024**2) + b"]", "x.json", 413),
    "unknown kind": (b"MZ\x90\x00", "x.exe", 422),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_upload_is_named_and_leaves_nothing(demo_api: Api, case: str) -> None:
    content, filename, status = BAD[case]
    name = f"bad-{case.replace(' ', '-')}"
    dataset = demo_api.json("POST", "api/datasets", 201, json={"name": name})
    answer = demo_api.put(f"api/datasets/{dataset['id']}/files/{filename}", content=content)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["detail"] or problem["title"]
    assert problem.get("hint") or problem.get("errors"), problem
    assert demo_api.json("GET", f"api/datasets/{dataset['id']}/files")["items"] == []
    assert demo_api.json("GET", f"api/datasets/{dataset['id']}/records")["items"] == []
    assert demo_api.delete(f"api/datasets/{dataset['id']}").status_code in (200, 204)


def test_publishing_an_empty_draft_says_what_to_do(demo_api: Api) -> None:
    dataset = demo_api.json("POST", "api/datasets", 201, json={"name": "hollow"})
    answer = demo_api.post(f"api/datasets/{dataset['id']}/versions", json={})
    if answer.status_code == 202:
        from support.api import wait_for_operation

        done = wait_for_operation(demo_api, answer.json()["id"])
        assert done["state"] == "failed" and done["error"]["detail"]
    else:
        assert answer.status_code in (409, 422), answer.text
    assert demo_api.json("GET", f"api/datasets/{dataset['id']}/versions")["items"] == []
