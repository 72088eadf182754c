"""Each kind of token reaches exactly what it should."""

import re

import httpx
import pytest

from local_hub import HubProcess, HubUser
from support.api import Api, Journey
from support.kernel import KernelSession

CHAT = {"model": "", "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}

#: Asks with a body, so that what is searched for stands in no address; changes nothing.
ONLY_READS = ("records/search", "records/lineage", "/preview")


def openapi_writes(api: Api) -> list[tuple[str, str]]:
    """Return every operation that needs `write` or `admin`, with example ids filled in."""
    document = api.json("GET", "api/openapi.json")
    found = []
    for path, methods in document["paths"].items():
        for method in methods:
            if method in ("post", "put", "patch", "delete"):
                filled = re.sub(r"\{[^}]+\}", "ds_01hzzzzzzzzzzzzzzzzzzzzzzz", path)
                found.append((method.upper(), filled.split("/services/adaptery/")[-1].lstrip("/")))
    return found


def test_a_read_only_token_can_write_on_no_route(hub: HubProcess, demo: HubUser) -> None:
    read_only = Api.of(demo, ["access:services!service=adaptery", "custom:adaptery:read"])
    assert read_only.get("api/datasets").status_code == 200
    writes = openapi_writes(read_only)
    assert len(writes) > 10
    for method, path in writes:
        if method == "POST" and path.endswith(ONLY_READS):
            continue
        answer = read_only.request(method, path, json={})
        assert answer.status_code in (401, 403), (method, path, answer.status_code, answer.text)


def test_without_a_token_only_health_answers(hub: HubProcess) -> None:
    anonymous = Api.with_token(hub, None)
    assert anonymous.get("health").status_code == 200
    for path in ("api/whoami", "api/datasets", "v1/models", "metrics", "api/openapi.json"):
        answer = anonymous.get(path)
        assert answer.status_code in (401, 403), (path, answer.status_code)
    assert anonymous.post("v1/chat/completions", json=CHAT).status_code == 401


def test_an_unknown_token_is_not_taken_for_a_browser(hub: HubProcess) -> None:
    unknown = Api.with_token(hub, "0123456789abcdef")
    for answer in (unknown.get("api/datasets"), unknown.post("api/datasets", json={"name": "x"})):
        assert answer.status_code == 401, answer.text


def test_a_user_token_needs_access_to_the_service(hub: HubProcess, demo: HubUser) -> None:
    without = Api.of(demo, ["custom:adaptery:read"])
    assert without.get("api/datasets").status_code == 403
    infer_only = Api.of(demo, ["access:services!service=adaptery", "custom:adaptery:infer"])
    assert infer_only.get("v1/models").status_code == 200
    assert infer_only.get("api/datasets").status_code == 403


def test_metrics_are_for_admins(admin: HubUser, demo_api: Api) -> None:
    assert demo_api.get("metrics").status_code == 403
    scopes = ["access:services!service=adaptery", "custom:adaptery:admin"]
    assert Api.of(admin, scopes).get("metrics").status_code == 200


def test_a_browser_session_writes_only_with_its_xsrf_token(demo: HubUser) -> None:
    assert demo.page("").status_code == 200
    xsrf = next(
        c.value
        for c in demo.client.cookies.jar
        if c.name == "_xsrf" and c.path == "/services/adaptery/"
    )
    body = {"name": "from-a-browser"}
    refused = demo.client.post("/services/adaptery/api/datasets", json=body)
    assert refused.status_code == 403
    headers = {"X-XSRFToken": xsrf or ""}
    made = demo.client.post("/services/adaptery/api/datasets", json=body, headers=headers)
    assert made.status_code == 201, made.text
    path = f"/services/adaptery/api/datasets/{made.json()['id']}"
    assert demo.client.delete(path, headers=headers).status_code in (200, 204)


@pytest.fixture(scope="module")
def notebook_tokens(hub: HubProcess, colleague: HubUser) -> dict[str, str]:
    colleague.spawn()
    kernel = KernelSession(colleague)
    printed = kernel.run(
        "import os\n"
        "print(os.environ['JUPYTERHUB_API_TOKEN'], os.environ['OPENAI_API_KEY'],"
        " os.environ['ADAPTERY_URL'], os.environ['OPENAI_BASE_URL'])"
    )
    kernel.close()
    server, narrow, url, base_url = printed.split()
    assert url == hub.service_url and base_url == f"{hub.service_url}v1"
    return {"server": server, "narrow": narrow}


def test_the_server_token_writes_and_never_administers(
    hub: HubProcess, notebook_tokens: dict[str, str]
) -> None:
    api = Api.with_token(hub, notebook_tokens["server"])
    made = api.json("POST", "api/datasets", 201, json={"name": "from-a-notebook"})
    assert api.delete(f"api/datasets/{made['id']}").status_code in (200, 204)
    assert api.post("v1/chat/completions", json=CHAT).status_code == 200
    assert api.get("metrics").status_code == 403


def test_the_narrow_token_infers_and_does_nothing_else(
    hub: HubProcess, notebook_tokens: dict[str, str], journey: Journey
) -> None:
    narrow = Api.with_token(hub, notebook_tokens["narrow"])
    assert narrow.get("v1/models").status_code == 200
    assert narrow.post("v1/chat/completions", json=CHAT).status_code == 200
    assert narrow.get("api/datasets").status_code == 403
    assert narrow.post("api/datasets", json={"name": "x"}).status_code == 403
    hub_api = httpx.Client(
        base_url=f"{hub.url}/hub/api/",
        headers={"Authorization": f"Bearer {notebook_tokens['narrow']}"},
    )
    hub.clients.append(hub_api)
    assert hub_api.post("users/colleague/server").status_code in (403, 404)
    assert hub_api.post("users/colleague/servers/second").status_code in (403, 404)
    assert hub_api.delete("users/colleague/server").status_code in (403, 404)
    assert hub_api.post("users/colleague/tokens", json={}).status_code in (403, 404)
    server = httpx.get(
        f"{hub.url}/user/colleague/api/kernels",
        headers={"Authorization": f"Bearer {notebook_tokens['narrow']}"},
    )
    assert server.status_code in (401, 403)


def test_the_narrow_token_dies_with_its_server(
    hub: HubProcess, colleague: HubUser, notebook_tokens: dict[str, str]
) -> None:
    colleague.stop_server()
    model = httpx.get(
        f"{hub.url}/hub/api/user",
        headers={"Authorization": f"Bearer {notebook_tokens['narrow']}"},
    )
    assert model.status_code == 403
