"""What is not yours does not exist: not by id, not by name, not by a difference between answers."""

import pytest

from support.api import Api, Journey, submit

MISSING = {
    "datasets": "ds_01hzzzzzzzzzzzzzzzzzzzzzzz",
    "versions": "dv_01hzzzzzzzzzzzzzzzzzzzzzzz",
    "jobs": "jb_01hzzzzzzzzzzzzzzzzzzzzzzz",
    "adapters": "ad_01hzzzzzzzzzzzzzzzzzzzzzzz",
}


def without_request_id(api: Api, method: str, path: str, **kwargs: object) -> tuple[int, dict]:
    answer = api.request(method, path, **kwargs)  # type: ignore[arg-type]
    body = answer.json()
    body.pop("request_id", None)
    return answer.status_code, body


def paths(journey: Journey) -> list[tuple[str, str, str]]:
    """Return (method, path of demo's thing, the same path of a thing that never was)."""
    dataset, version = journey.dataset["id"], journey.version["id"]
    job, adapter = journey.job["id"], journey.adapter["id"]
    made = []
    for method, template, kind, thing in [
        ("GET", "api/datasets/{}", "datasets", dataset),
        ("PATCH", "api/datasets/{}", "datasets", dataset),
        ("DELETE", "api/datasets/{}", "datasets", dataset),
        ("GET", "api/datasets/{}/files", "datasets", dataset),
        ("PUT", "api/datasets/{}/files/x.json", "datasets", dataset),
        ("GET", "api/datasets/{}/records", "datasets", dataset),
        ("POST", "api/datasets/{}/records", "datasets", dataset),
        ("GET", "api/datasets/{}/versions", "datasets", dataset),
        ("POST", "api/datasets/{}/versions", "datasets", dataset),
        ("GET", "api/versions/{}", "versions", version),
        ("GET", "api/versions/{}/manifest", "versions", version),
        ("GET", "api/versions/{}/records", "versions", version),
        ("GET", "api/jobs/{}", "jobs", job),
        ("POST", "api/jobs/{}/cancel", "jobs", job),
        ("GET", "api/jobs/{}/events", "jobs", job),
        ("GET", "api/jobs/{}/metrics", "jobs", job),
        ("GET", "api/jobs/{}/log", "jobs", job),
        ("GET", "api/jobs/{}/checkpoints", "jobs", job),
        ("GET", "api/adapters/{}", "adapters", adapter),
    ]:
        made.append((method, template.format(thing), template.format(MISSING[kind])))
    return made


def test_another_users_things_look_like_things_that_never_were(
    guest_api: Api, journey: Journey
) -> None:
    bodies = {"PATCH": {"description": "x"}, "POST": {}, "PUT": None}
    for method, real, missing in paths(journey):
        kwargs: dict[str, object] = {}
        if method in ("PATCH", "POST"):
            kwargs["json"] = (
                {"record": {"text": "x"}} if real.endswith("records") else bodies[method]
            )
        if method == "PUT":
            kwargs["content"] = b"[]"
        seen = without_request_id(guest_api, method, real, **kwargs)
        assert seen == without_request_id(guest_api, method, missing, **kwargs), (method, real)
        assert seen[0] == 404, (method, real, seen)


def test_lists_of_another_user_are_empty_of_it(guest_api: Api, journey: Journey) -> None:
    for path in ("api/datasets", "api/jobs", "api/adapters"):
        text = guest_api.get(path).text
        assert "visits" not in text and "demo" not in text
    assert "visits" not in guest_api.get("v1/models").text


@pytest.mark.parametrize("spelling", ["{}", "{}@1", "{}@99"])
def test_a_model_name_tells_nothing(guest_api: Api, journey: Journey, spelling: str) -> None:
    real = spelling.format(journey.adapter["full_name"].split("@1")[0])
    for route in ("v1/chat/completions", "v1/completions"):
        answers = []
        for name in (real, "@demo/never-was", journey.job["id"], MISSING["jobs"]):
            body = {"model": name, "messages": [{"role": "user", "content": "x"}], "prompt": "x"}
            status, answer = without_request_id(guest_api, "POST", route, json=body)
            text = str(answer).replace(name, "NAME")
            answers.append((status, text))
        assert len(set(answers)) == 1 and answers[0][0] == 404, answers
    quoted = real.replace("/", "%2F")
    assert guest_api.get(f"v1/models/{quoted}").status_code == 404


def test_another_users_version_cannot_be_trained_on(guest_api: Api, journey: Journey) -> None:
    for name in (journey.version["name"], journey.version["id"]):
        body = {"task": "training-v0", "name": "theft", "dataset": name, "options": {}}
        assert guest_api.post("api/jobs", json=body).status_code == 404


def test_a_group_shares_what_it_owns_and_nobody_else_sees_it(
    demo_api: Api, guest_api: Api, colleague: object
) -> None:
    from local_hub import HubUser

    assert isinstance(colleague, HubUser)
    colleague_api = Api.of(colleague)
    dataset = demo_api.json(
        "POST", "api/datasets", 201, json={"name": "shared", "tenant": "radiology"}
    )
    assert dataset["full_name"] == "radiology/shared"
    path = f"api/datasets/{dataset['id']}"
    assert colleague_api.json("GET", path)["right"] == "edit"
    assert colleague_api.delete(path).status_code == 403
    assert guest_api.get(path).status_code == 404
    body = {"name": "intruder", "tenant": "radiology"}
    assert guest_api.post("api/datasets", json=body).status_code in (403, 404)
    assert demo_api.delete(path).status_code in (200, 204)


def test_a_second_job_of_the_same_name_gets_the_next_number(
    demo_api: Api, journey: Journey
) -> None:
    from support.api import wait_for_job

    job = submit(demo_api, journey.job["name"], journey.version["id"], epochs=1, rank=4)
    done = wait_for_job(demo_api, job["id"])
    assert done["adapter"] == journey.adapter["full_name"].replace("@1", "@2") or (
        done["adapter"].endswith("@2")
    )
