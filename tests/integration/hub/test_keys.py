"""Own keys against a real Hub, broker, agent and engine."""

from typing import Any

from local_hub import HubProcess, HubUser
from support.api import Api, Journey

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2}


def test_a_key_asks_its_adapter_until_it_is_revoked(
    hub: HubProcess, demo: HubUser, demo_api: Api, guest_api: Api, journey: Journey
) -> None:
    name = journey.adapter["full_name"]
    wanted = {"name": "pipeline", "adapters": [name], "tokens_per_day": 10_000}
    guest_api.json("POST", "api/keys", 404, json=wanted)
    made = demo_api.json("POST", "api/keys", 201, json=wanted)
    key = Api.with_token(hub, made["secret"])
    assert [model["id"] for model in key.json("GET", "v1/models")["data"]] == [name]
    owner, adapter = name.rpartition("@")[0].split("/")
    for path in ("v1", f"a/{owner}/{adapter}/v1"):
        for model in ("", journey.adapter["base_model"], name):
            answer = key.json("POST", f"{path}/chat/completions", json={**CHAT, "model": model})
            assert answer["model"] == name
    for path in ("api/datasets", "api/whoami", "metrics", ""):
        assert key.get(path, follow_redirects=False).status_code == 403, path
    # The Hub itself knows no such token.
    hub_answer = key.get(f"{hub.url}/hub/api/user", follow_redirects=False)
    assert hub_answer.status_code in (401, 403)
    assert made["secret"] not in hub.log and made["secret"][7:-6] not in hub.log
    demo_api.json("DELETE", f"api/keys/{made['id']}", 204)
    key.json("GET", "v1/models", 401)
