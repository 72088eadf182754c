"""The service's HTTP API as a program outside the notebook would call it."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from local_hub import HubProcess, HubUser
from support.plain_http import PLAIN
from support.waiting import eventually_sync

ALL_SCOPES = [
    "access:services!service=adaptery",
    "custom:adaptery:write",
    "custom:adaptery:infer",
]


class Api(httpx.Client):
    """An HTTP client with one token, based at the service."""

    def __init__(self, service_url: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(base_url=service_url, headers=headers, timeout=60, verify=PLAIN)
        self.token = token

    @classmethod
    def of(cls, user: HubUser, scopes: list[str] | None = None) -> "Api":
        return cls.with_token(user.hub, user.token(ALL_SCOPES if scopes is None else scopes))

    @classmethod
    def with_token(cls, hub: HubProcess, token: str | None) -> "Api":
        """Make a client that is closed when the Hub is stopped."""
        api = cls(hub.service_url, token)
        hub.clients.append(api)
        return api

    def json(self, method: str, path: str, status: int = 200, **kwargs: Any) -> Any:
        answer = self.request(method, path, **kwargs)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None


def alpaca(count: int, word: str = "cough") -> bytes:
    """Return an Alpaca file with `count` different records."""
    return json.dumps(
        [
            {
                "instruction": f"Write note {i}.",
                "input": f"Patient {i}: a {word}.",
                "output": f"S: {word} {i}.",
            }
            for i in range(count)
        ]
    ).encode()


@dataclass(frozen=True)
class Journey:
    """What one journey left behind."""

    dataset: dict[str, Any]
    version: dict[str, Any]
    job: dict[str, Any]
    adapter: dict[str, Any]


def publish(api: Api, dataset: str) -> dict[str, Any]:
    """Publish a draft and return the version."""
    operation = api.json("POST", f"api/datasets/{dataset}/versions", 202, json={})
    done = wait_for_operation(api, operation["id"])
    assert done["state"] == "completed", done
    versions = api.json("GET", f"api/datasets/{dataset}/versions")["items"]
    return max(versions, key=lambda version: version["number"])


def wait_for_operation(api: Api, operation: str) -> dict[str, Any]:
    """Wait until an operation has ended."""
    ended = ("completed", "failed", "cancelled")

    def finished() -> dict[str, Any] | None:
        now = api.json("GET", f"api/operations/{operation}")
        return now if now["state"] in ended else None

    found = eventually_sync(finished, timeout_seconds=60)
    assert found is not None
    return found


def make_version(api: Api, name: str, content: bytes, tenant: str | None = None) -> tuple[Any, Any]:
    """Create a dataset, upload one file, publish it; return dataset and version."""
    body = {"name": name, **({"tenant": tenant} if tenant else {})}
    dataset = api.json("POST", "api/datasets", 201, json=body)
    answer = api.put(f"api/datasets/{dataset['id']}/files/visits.json", content=content)
    assert answer.status_code in (200, 201), answer.text
    return dataset, publish(api, dataset["id"])


def submit(api: Api, name: str, version: str, **options: Any) -> dict[str, Any]:
    """Submit a small training job."""
    body = {"task": "training-v0", "name": name, "dataset": version, "options": options}
    return api.json("POST", "api/jobs", 201, json=body)


def wait_for_job(
    api: Api, job: str, state: str = "completed", timeout_seconds: float = 120
) -> dict[str, Any]:
    """Wait until a job is in `state`; fail at once when it can no longer get there."""

    def reached() -> dict[str, Any] | None:
        now = api.json("GET", f"api/jobs/{job}")
        if now["state"] != state and now["state"] in ("completed", "failed", "cancelled"):
            raise AssertionError(f"job is {now['state']}: {now['reason']}")
        return now if now["state"] == state else None

    found = eventually_sync(reached, timeout_seconds=timeout_seconds, every_seconds=0.2)
    assert found is not None
    return found


def take_the_journey(api: Api, name: str, records: int = 12) -> Journey:
    """Upload, publish, train and find the adapter."""
    dataset, version = make_version(api, name, alpaca(records))
    job = submit(api, name, version["name"], epochs=1)
    job = wait_for_job(api, job["id"])
    adapter = api.json("GET", f"api/adapters/{job['adapter_id']}")
    return Journey(dataset, version, job, adapter)
