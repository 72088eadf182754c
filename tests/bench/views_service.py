"""The service for the benchmark of the views: a draft of many records, and an agent with a script.

Run as: `python tests/bench/views_service.py STATE_FOLDER RECORDS`. Prints one line of JSON when it
is ready: url, token, dataset. Each answer's first token is stamped on a line of its own,
`{"first_token_at": seconds}`: when it reached the service. Ends when its input is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from adaptery.sealed import Frame  # noqa: E402
from adaptery_hub.audit import AuditLog  # noqa: E402
from adaptery_hub.compute import AUDIT_WRITER  # noqa: E402
from adaptery_hub.fleet.live import AgentView  # noqa: E402
from adaptery_hub.gateway import Gateway, InferOrder, Resolver  # noqa: E402
from adaptery_hub.usage import UsageLog  # noqa: E402
from support.hub_tables import AGENT, BASE, WEIGHTS  # noqa: E402
from support.scripted_fleet import USAGE, text, view  # noqa: E402
from support.service import Client, Service, running_service  # noqa: E402

TOKEN = "token-of-the-benchmark"
WORDS = ["The", " cough", " is", " dry", " and", " worse", " at", " night", "."] * 20
#: Fast, but a stream: an engine makes some 50 tokens a second for one reader.
PAUSE_SECONDS = 0.02
WAIT_FOR_BROWSER_SECONDS = 0.3


class TimedFleet:
    """One agent that says the same to everybody and notes when it begins."""

    def views(self) -> Iterable[AgentView]:
        """See `InferenceFleet`."""
        return [view(AGENT)]

    async def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        """See `InferenceFleet`."""
        await asyncio.sleep(WAIT_FOR_BROWSER_SECONDS)
        tell({"first_token_at": time.time()})
        for word in WORDS:
            yield text(word)
            await asyncio.sleep(PAUSE_SECONDS)
        yield text("", finish="stop")
        yield USAGE


def tell(value: object) -> None:
    """Write one line of JSON."""
    print(json.dumps(value), flush=True)


def records(count: int) -> bytes:
    """Return an Alpaca file whose records differ in words and length."""
    rows = [
        {
            "instruction": f"Write up visit {i}.",
            "input": f"Patient {i}: {'a dry cough at night, ' * (1 + i % 7)}no fever.",
            "output": f"Subjective: cough for {i % 30} days.\nPlan: {'rest. ' * (1 + i % 5)}",
        }
        for i in range(count)
    ]
    return json.dumps(rows).encode()


async def prepare(service: Service, count: int) -> str:
    """Make the dataset; return its id."""
    client: Client = service.client("bench", token=TOKEN)
    client.timeout = 600
    dataset = await client.dataset("visits")
    await client.upload(dataset, records(count))
    return dataset


async def main(state: Path, count: int) -> None:
    """Serve until the input is closed."""
    options = {
        "base_models": {BASE: "/models/tiny"},
        "pinned_digests": {BASE: WEIGHTS},
    }
    async with running_service(state, **options) as service:
        compute = service.services.compute
        assert compute is not None
        database = service.services.db
        compute.gateway = Gateway(
            Resolver(database, compute.base_models),
            TimedFleet(),
            UsageLog(database, AuditLog(AUDIT_WRITER)),
        )
        dataset = await prepare(service, count)
        tell({"url": service.url, "token": TOKEN, "dataset": dataset})
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
