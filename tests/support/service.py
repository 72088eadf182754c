"""The service in this process, with a table of tokens in the place of the Hub.

Everything else is real: the sockets, the database, the drafts, the store. What needs the Hub itself
(sessions, XSRF, the login) is tested against a real one in `integration/`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from tornado.httpserver import HTTPServer
from tornado.web import RequestHandler

from adaptery.errors import UnavailableError
from adaptery_hub.app import (
    build_services,
    listen,
    start_services,
    stop_services,
)
from adaptery_hub.hub_users import HubUser
from adaptery_hub.identity import SCOPE_PREFIX, HubModel
from adaptery_hub.services import Services
from adaptery_hub.settings import ServiceSettings
from support.plain_http import PLAIN
from support.schema import lay_database
from support.waiting import PATIENCE_SECONDS, eventually

USER_SCOPES = ("read", "write", "infer")
#: When the Hub made every user of whom a test says nothing else.
CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class TokenTableIdentities:
    """Knows a fixed set of tokens."""

    def __init__(self) -> None:
        self.models: dict[str, HubModel] = {}
        self.checks = 0
        self.fresh_checks = 0
        self.silent = False  # whether the Hub does not answer
        self.gone: set[str] = set()  # users whom the Hub has deleted
        self.gone_groups: set[str] = set()  # groups that the Hub has deleted
        self.created_at: dict[str, datetime] = {}  # of users whom the Hub has made again
        self.hides = False  # whether the Hub does not let the service see users and groups

    def add(
        self,
        token: str,
        name: str,
        groups: tuple[str, ...] = (),
        scopes: tuple[str, ...] = USER_SCOPES,
    ) -> None:
        """Let a token in."""
        held = frozenset(SCOPE_PREFIX + scope for scope in scopes)
        created_at = self.created_at.get(name, CREATED_AT)
        self.models[token] = HubModel(name, "user", groups, held, created_at=created_at)

    def delete(self, name: str) -> None:
        """Delete a user with all tokens, as the Hub does."""
        self.models = {token: m for token, m in self.models.items() if m.name != name}
        self.gone.add(name)

    def make_again(self, name: str) -> None:
        """Delete a user and make another of the same name."""
        self.delete(name)
        self.gone.discard(name)
        self.created_at[name] = self.created_at.get(name, CREATED_AT) + timedelta(days=1)

    async def identify(self, handler: RequestHandler, *, fresh: bool) -> HubModel | None:
        """See `adaptery_hub.identity.IdentitySource`."""
        self.checks += 1
        self.fresh_checks += fresh
        if self.silent:
            raise UnavailableError("JupyterHub did not answer who you are.")
        kind, _, token = handler.request.headers.get("Authorization", "").partition(" ")
        return self.models.get(token) if kind == "Bearer" else None

    async def user(self, hub_name: str) -> HubUser | None:
        """See `adaptery_hub.identity.IdentitySource`; the token that was added last counts."""
        if self.silent:
            raise UnavailableError("JupyterHub did not answer about a user or group.")
        if hub_name in self.gone:
            return None
        groups = [m.groups for m in self.models.values() if m.name == hub_name]
        created_at = self.created_at.get(hub_name, CREATED_AT)
        return HubUser(hub_name, groups[-1] if groups else (), created_at)

    async def has_group(self, hub_name: str) -> bool:
        """See `adaptery_hub.identity.IdentitySource`."""
        if self.silent:
            raise UnavailableError("JupyterHub did not answer about a user or group.")
        return hub_name not in self.gone_groups

    async def may_look(self) -> bool:
        """See `adaptery_hub.identity.IdentitySource`."""
        return not self.hides


class Service:
    """A running service."""

    def __init__(self, services: Services, identities: TokenTableIdentities, port: int) -> None:
        self.services = services
        self.identities = identities
        self.url = f"http://127.0.0.1:{port}{services.settings.prefix}"
        self._clients: list[httpx.AsyncClient] = []

    def client(
        self,
        name: str,
        groups: tuple[str, ...] = (),
        scopes: tuple[str, ...] = USER_SCOPES,
        token: str | None = None,
    ) -> Client:
        """Return a client of a user."""
        token = token or f"token-of-{name.encode().hex()}-{len(self._clients)}"
        self.identities.add(token, name, groups, scopes)
        return self.anonymous({"Authorization": f"Bearer {token}"})

    def anonymous(self, headers: Mapping[str, str] | None = None) -> Client:
        """Return a client without a token."""
        client = Client(base_url=self.url, headers=dict(headers or {}), timeout=30, verify=PLAIN)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close every client."""
        await asyncio.gather(*(client.aclose() for client in self._clients))


class Client(httpx.AsyncClient):
    """A caller of the API."""

    async def json(self, method: str, path: str, status: int = 200, **kwargs: Any) -> Any:
        """Make a request that must be answered with `status`; return its JSON."""
        answer = await self.request(method, path, **kwargs)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def dataset(self, name: str = "visits", **fields: Any) -> str:
        """Create a dataset and return its id."""
        made = await self.json("POST", "api/datasets", 201, json={"name": name, **fields})
        return made["id"]

    async def upload(
        self, dataset: str, content: bytes, name: str = "visits.json", status: int = 201
    ) -> Any:
        """Upload a file."""
        path = f"api/datasets/{dataset}/files/{name}"
        return await self.json("PUT", path, status, content=content)

    async def publish(
        self, dataset: str, state: str = "completed", timeout_seconds: float = PATIENCE_SECONDS
    ) -> Any:
        """Publish a draft; return the operation at its end."""
        path = f"api/datasets/{dataset}/versions"
        operation = await self.json("POST", path, 202, json={})
        ended = await self.ended(operation["id"], timeout_seconds)
        assert ended["state"] == state, ended
        return ended

    async def ended(self, operation: str, timeout_seconds: float = PATIENCE_SECONDS) -> Any:
        """Wait for the end of an operation."""

        async def end() -> Any:
            now = await self.json("GET", f"api/operations/{operation}")
            return now if now["state"] != "running" else None

        return await eventually(end, timeout_seconds=timeout_seconds)


def alpaca(count: int, word: str = "cough") -> bytes:
    """Return an Alpaca file with `count` different records."""
    rows = [
        {"instruction": f"Write note {i}.", "input": f"Patient {i}.", "output": f"S: {word} {i}."}
        for i in range(count)
    ]
    return json.dumps(rows).encode()


@asynccontextmanager
async def running_service(
    state: Path, change: Callable[[Services], None] | None = None, **options: Any
) -> AsyncIterator[Service]:
    """Run the service on a free port, with its state in a folder that may exist already."""
    settings = ServiceSettings(state_dir=str(state), listen_url="http://127.0.0.1:0", **options)
    identities = TokenTableIdentities()
    if "database_url" not in options:
        settings.database_url = lay_database(Path(settings.database_url.removeprefix("sqlite:///")))
    services = build_services(settings, identities)
    services.processes.prepare()  # it takes a while, which no test shall wait for
    if change is not None:
        change(services)
    await start_services(services)
    server = listen(services)
    service = Service(services, identities, _port(server))
    try:
        yield service
    finally:
        await service.close()
        server.stop()
        await server.close_all_connections()
        await stop_services(services)


def _port(server: HTTPServer) -> int:
    sockets = list(server._sockets.values())
    return sockets[0].getsockname()[1]


__all__ = ["Client", "Service", "TokenTableIdentities", "alpaca", "running_service"]
