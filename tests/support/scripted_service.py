"""A service below httpx that answers by a script, and documents as it would answer them."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import httpx

import adaptery
from adaptery.errors import AdapteryError
from adaptery.ids import new_id
from adaptery.times import now, to_text

URL = "http://hub.test/services/adaptery"
TOKEN = "secret-token"
AT = to_text(now())


class Answer(httpx.SyncByteStream):
    """A body that arrives in pieces, and may break off."""

    def __init__(self, pieces: Sequence[bytes], broken: bool = False) -> None:
        self.pieces, self.broken, self.closed = pieces, broken, False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.broken:
            raise httpx.ReadError("connection lost")

    def close(self) -> None:
        self.closed = True


class ScriptedService(httpx.BaseTransport):
    """Answers each request by the next entry of the script for its method and path."""

    def __init__(self) -> None:
        self.script: dict[str, list[Any]] = {}
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []

    def on(self, method: str, path: str, *answers: Any) -> Self:
        """Set what is answered in turn: JSON, a response, or an error; the last one again."""
        self.script[f"{method} {path}"] = list(answers)
        return self

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(request.read())
        path = request.url.raw_path.decode().removeprefix("/services/adaptery/")
        answers = self.script[f"{request.method} {path.partition('?')[0]}"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def connect(service: ScriptedService) -> adaptery.Hub:
    return adaptery.connect(URL, TOKEN, transport=service)


def dataset(**changes: object) -> dict[str, object]:
    return {
        "id": new_id("ds"),
        "name": "visits",
        "full_name": "@demo/visits",
        "tenant": "demo",
        "sensitivity": "internal",
        "description": "",
        "records": 0,
        "right": "manage",
        "created_at": AT,
        "updated_at": AT,
    } | changes


def version(**changes: object) -> dict[str, object]:
    return {
        "id": new_id("dv"),
        "dataset": new_id("ds"),
        "number": 1,
        "name": "@demo/visits@1",
        "content_digest": "sha256:" + "0" * 64,
        "manifest_digest": "sha256:" + "0" * 64,
        "records": 1,
        "duplicates_dropped": 0,
        "state": "published",
        "created_at": AT,
    } | changes


def operation(state: str, **changes: object) -> dict[str, object]:
    return {
        "id": "op_1",
        "kind": "publish",
        "state": state,
        "progress": 0.0,
        "done": 0,
        "total": None,
        "result": None,
        "error": None,
        "created_at": AT,
    } | changes


JOB_ID = new_id("jb")


def job(state: str = "training", **changes: object) -> dict[str, object]:
    return {
        "id": JOB_ID,
        "name": "soap",
        "tenant": "demo",
        "task": "training-v0",
        "base_model": "tiny",
        "dataset": "@demo/visits@1",
        "state": state,
        "reason": None,
        "position": None,
        "cancel_requested": False,
        "queue": "default",
        "progress": None,
        "attempts": 1,
        "adapter": None,
        "adapter_id": None,
        "created_at": AT,
        "queued_at": AT,
        "started_at": None,
        "finished_at": None,
        "summary": None,
        "options": {},
    } | changes


def problem(cls: type[AdapteryError], status: int | None = None, **fields: Any) -> httpx.Response:
    """Return an error as the service answers it."""
    body = cls(**fields).to_problem("rq_1")
    return httpx.Response(status or cls.status, json=body)
