"""How answers end early: the client leaves or stands still, the service ends or is killed.

Everything is a process of its own; the engine's own notes say when it was told to stop.
"""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from support.deployment import ADAPTER, ADMIN, Deployment, deployment, token_of
from support.waiting import eventually, eventually_sync

pytestmark = pytest.mark.timeout(300)
LEFT = "reader left"
LONG_TOKENS = 4_000


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    options = {"answers_per_agent": 256, "shutdown_seconds": 3.0, "unread_seconds": 2.0}
    with deployment(tmp_path_factory.mktemp("endings"), options=options) as made:
        yield made


def body(text: str, *, tokens: int = LONG_TOKENS) -> dict[str, object]:
    messages = [{"role": "user", "content": text}]
    return {"model": ADAPTER, "messages": messages, "max_tokens": tokens, "stream": True}


def headers(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(user)}"}


@asynccontextmanager
async def client(deployed: Deployment, user: str = "reader") -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=deployed.v1, headers=headers(user), limits=limits, timeout=60
    ) as http:
        yield http


@asynccontextmanager
async def stream(
    http: httpx.AsyncClient, text: str = "slowly", **more: int
) -> AsyncIterator[AsyncIterator[str]]:
    """Open a stream and read its first piece of text."""
    async with http.stream("POST", "/chat/completions", json=body(text, **more)) as answer:
        if answer.status_code != 200:
            raise AssertionError(f"{answer.status_code}: {await answer.aread()!r}")
        lines = answer.aiter_lines()
        async for line in lines:
            if '"content": "' in line:
                break
        yield lines


def metric(deployed: Deployment, name: str) -> float:
    """Return the sum of a metric over its labels."""
    text = httpx.get(f"{deployed.url}metrics", headers=headers(ADMIN)).text
    found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name)]
    return sum(map(float, found))


def running(deployed: Deployment) -> float:
    return metric(deployed, "adaptery_answers_running")


async def test_a_client_that_leaves_frees_its_row_in_the_engine(deployed: Deployment) -> None:
    before = Counter(deployed.engine_events())[LEFT]
    async with client(deployed) as http:
        async with stream(http):
            assert running(deployed) == 1
        await eventually(lambda: Counter(deployed.engine_events())[LEFT] == before + 1)
        await eventually(lambda: running(deployed) == 0)


async def test_a_reader_that_stands_still_costs_little_memory_and_is_cut_off(
    deployed: Deployment,
) -> None:
    service = psutil.Process(deployed.processes["service"].pid)
    memory = service.memory_info().rss
    address = urlsplit(deployed.v1)
    # Eight megabytes: more than the buffers of the kernel hold.
    content = json.dumps(body("flood", tokens=32_000)).encode()
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((address.hostname, address.port))
        reader.sendall(
            f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token_of('still')}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        slow = 'adaptery_errors_total{code="slow_reader"}'
        await eventually(lambda: metric(deployed, slow) == 1, timeout_seconds=60)
        await eventually(lambda: running(deployed) == 0)
        grown = service.memory_info().rss - memory
        assert grown < 24 * 2**20, f"{grown / 2**20:.0f} MiB for one reader"


async def test_a_service_that_ends_lets_answers_end_and_ends_the_others_visibly(
    deployed: Deployment,
) -> None:
    async with client(deployed) as http:
        async with stream(http, tokens=20) as short, stream(http) as long:
            ending = asyncio.create_task(asyncio.to_thread(deployed.stop, "service"))

            async def refused() -> httpx.Response | None:
                answer = await http.post("/chat/completions", json=body("late"))
                return answer if answer.status_code == 503 else None

            late = await eventually(refused)
            assert late.json()["error"]["code"] == "unavailable"
            assert late.headers["retry-after"] and late.headers["connection"] == "close"
            assert [line async for line in short if line][-1] == "data: [DONE]"
            last = [line async for line in long if line][-1]
            assert json.loads(last.removeprefix("data: "))["error"]["code"] == "unavailable"
        assert await ending == 0
    await asyncio.to_thread(deployed.start_service)
    rows = usage_of(deployed, "reader")
    assert {"completed", "cancelled"} <= {row["outcome"] for row in rows}, "nothing was lost"


async def test_two_hundred_streams_outlive_a_service_that_is_killed_visibly(
    deployed: Deployment,
) -> None:
    before = Counter(deployed.engine_events())[LEFT]

    async def read(http: httpx.AsyncClient, begun: asyncio.Semaphore) -> str:
        """Read a stream to its end; say how it ended."""
        last = ""
        try:
            async with stream(http) as lines:
                begun.release()
                async for line in lines:
                    last = line or last
        except httpx.HTTPError as error:
            return type(error).__name__
        return last

    begun = asyncio.Semaphore(0)
    async with (
        client(deployed, "one") as one,
        client(deployed, "two") as two,
        client(deployed, "three") as three,
        client(deployed, "four") as four,
    ):
        users = (one, two, three, four)
        readers = [asyncio.create_task(read(users[n % 4], begun)) for n in range(200)]
        for _ in readers:
            await asyncio.wait_for(begun.acquire(), 60)
        deployed.kill("service")
        ends = Counter(await asyncio.gather(*readers))
    assert set(ends) <= {"RemoteProtocolError", "ReadError"}, ends
    await asyncio.to_thread(deployed.start_service)  # how soon, `make bench BENCH=gateway` tells
    async with client(deployed) as http:
        answer = await http.post("/chat/completions", json=body("hello", tokens=1))
        assert answer.status_code == 200
    # The engine's rows are freed although nobody told the agent to stop.
    await eventually(
        lambda: Counter(deployed.engine_events())[LEFT] == before + 200, timeout_seconds=60
    )
    assert running(deployed) == 0


def usage_of(deployed: Deployment, user: str) -> list[dict[str, str]]:
    """Return what a user's requests were accounted for as."""
    import sqlalchemy as sa

    from adaptery_hub.database import tables

    def rows(connection: sa.Connection) -> list[dict[str, str]]:
        of_user = sa.select(tables.tenants.c.id).where(tables.tenants.c.hub_name == user)
        statement = sa.select(tables.usage).where(tables.usage.c.tenant_id.in_(of_user))
        return [dict(row) for row in connection.execute(statement).mappings()]

    database = deployed.database()
    try:
        return eventually_sync(lambda: database.read_now(rows))
    finally:
        database.close()
