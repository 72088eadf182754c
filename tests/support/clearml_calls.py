"""Calls of ClearML's API by hand, and who takes tasks from its queues as an agent does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from adaptery_hub.clearml.carry import Away, Refused, carry
from adaptery_hub.clearml.program import Done, Failed, read_outcome
from support.clearml_stage import ClearmlServer
from support.plain_http import PLAIN

CALL_SECONDS = 5.0


@dataclass
class Calls:
    """Asks a server, as `carry.open_session` does with the SDK."""

    server: ClearmlServer
    _token: str = field(default="", repr=False)

    def __call__(self, service: str, action: str, **payload: object) -> Any:
        """Ask for an action; return its data."""
        try:
            said = self._post(f"{service}.{action}", payload)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise Away(type(error).__name__) from None
        return said

    def _post(self, endpoint: str, payload: Mapping[str, object]) -> Any:
        url, key = self.server.api_url.rstrip("/"), self.server.key
        with httpx.Client(timeout=CALL_SECONDS, verify=PLAIN) as client:
            if not self._token:
                login = client.post(
                    f"{url}/auth.login", json={}, auth=(key.access_key, key.secret_key)
                )
                self._token = login.json()["data"]["token"]
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = client.post(f"{url}/v2.23/{endpoint}", json=dict(payload), headers=headers)
        said = answer.json()
        if 400 <= answer.status_code < 500:
            raise Refused(f"ClearML refused {endpoint}.")
        if not isinstance(said["data"], dict):
            raise TypeError("no data")
        return said["data"]

    def queue(self, name: str) -> str:
        """Return the id of a queue, made if it is not there."""
        found = self("queues", "get_all", name=f"^{name}$")["queues"]
        return found[0]["id"] if found else self("queues", "create", name=name)["id"]

    def pull(self, queue: str) -> str | None:
        """Take the next task of a queue as `clearml-agent` does; return its ticket."""
        entry = self("queues", "get_next_task", queue=self.queue(queue)).get("entry")
        if entry is None:
            return None
        self("tasks", "started", task=entry["task"], force=True)
        row = self("tasks", "get_by_id", task=entry["task"])["task"]
        return row["hyperparams"]["Adaptery"]["ticket"]["value"]


class ProgramHere:
    """Does rounds in this process, without the SDK."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def run(self, order: Mapping[str, Any]) -> Done | Failed:
        """See `clearml.links.Program`."""
        order = json.loads(json.dumps(order))
        try:
            said = await asyncio.to_thread(carry, order, self._calls)
        except Refused as no:
            return Failed("refused", str(no))
        except Away:
            return Failed("away", "ClearML does not answer as it must.")
        return read_outcome(json.dumps({"round": said}).encode())
