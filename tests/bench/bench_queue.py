"""The embedded queue under load, on both databases.

10,000 jobs of ten owners wait, 50 agents take them over the real broker and protocol while users
submit more, look at their dashboards and watch jobs that train. One owner has half of all jobs,
another a hundredth. The service runs in this process, agents and users in another
(`queue_load.py`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from measures import Measure

from adaptery import serving
from adaptery_hub.queue import EmbeddedQueue, Offer
from adaptery_hub.queue.port import Claim
from support.broker import BrokerProcess
from support.hub_tables import BASE, WEIGHTS, open_tables
from support.postgres import NoPostgresError, Postgres
from support.queued_jobs import insert_queued
from support.service import Service, running_service
from support.waiting import eventually

JOBS = int(os.environ.get("ADAPTERY_BENCH_JOBS", "10000"))
AGENTS = int(os.environ.get("ADAPTERY_BENCH_AGENTS", "50"))
SUBMITS = int(os.environ.get("ADAPTERY_BENCH_SUBMITS", "300"))
PAGES = int(os.environ.get("ADAPTERY_BENCH_PAGES", "150"))
SECONDS = float(os.environ.get("ADAPTERY_BENCH_SECONDS", "30"))
TRAIN_SECONDS = 3.0
#: Of all jobs, what each owner has.
PARTS = (0.5, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.04, 0.01)
ADMIN_TOKEN = "token-of-the-administrator"
HERE = Path(__file__).resolve().parent


class TimedQueue:
    """Notes how long each claim took, and whose job it was."""

    def __init__(self, queue: EmbeddedQueue) -> None:
        self.took: list[float] = []
        self.claimed: list[str] = []
        self._claim = queue.claim
        queue.claim = self.claim  # type: ignore[method-assign]

    async def claim(self, offer: Offer) -> Claim | None:
        """See `Queue.claim`."""
        began = time.perf_counter()
        claim = await self._claim(offer)
        if claim is not None:
            self.took.append(time.perf_counter() - began)
            self.claimed.append(claim.tenant_id)
        return claim


def measure() -> list[Measure]:
    """Measure on SQLite, then on PostgreSQL."""
    found = asyncio.run(_measure("SQLite", {}))
    try:
        server = Postgres(quick=False)
    except NoPostgresError as error:
        print(f"no PostgreSQL here: {error}")
        return found
    return found + asyncio.run(_measure("PostgreSQL", {"database_url": server.new_database()}))


async def _measure(name: str, options: dict[str, Any]) -> list[Measure]:
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="adaptery-bench-") as folder:
        state = Path(folder) / "hub"
        state.mkdir(mode=0o700)
        async with (
            BrokerProcess(state) as broker,
            running_service(
                state,
                broker_url=broker.url,
                base_models={BASE: "/models/tiny"},
                pinned_digests={BASE: WEIGHTS},
                max_open_jobs_per_tenant=10 * JOBS,
                **options,
            ) as service,
        ):
            return _judge(name, *await _load(service, Path(folder)))


async def _load(service: Service, folder: Path) -> tuple[dict[str, Any], TimedQueue]:
    users = {f"owner{number}": f"token-{number}" for number in range(len(PARTS))}
    hub = open_tables(folder, database=service.services.db)
    for user, token in users.items():
        service.client(user, token=token)
    service.client("boss", scopes=("read", "write", "infer", "admin"), token=ADMIN_TOKEN)
    await insert_queued(
        hub, {user: int(JOBS * part) for user, part in zip(users, PARTS, strict=True)}
    )
    # PostgreSQL does so by itself within a minute of so many changes.
    await hub.database.write(lambda c: c.execute(sa.text("ANALYZE")))
    serving.settle()  # as the service does in a process of its own
    compute = service.services.compute
    assert compute is not None and compute.fleet is not None
    fleet, timed = compute.fleet, TimedQueue(compute.queue)
    await eventually(lambda: fleet.connected)
    asked = {
        "url": service.url,
        "folder": str(folder / "agents"),
        "admin": ADMIN_TOKEN,
        "users": users,
        "agents": AGENTS,
        "train_seconds": TRAIN_SECONDS,
        "submits": SUBMITS,
        "pages": PAGES,
        "seconds": SECONDS,
    }
    load = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "queue_load.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await load.communicate(json.dumps(asked).encode() + b"\n")
    assert load.returncode == 0, "the load broke off"
    return json.loads(told), timed


def _judge(name: str, load: dict[str, Any], timed: TimedQueue) -> list[Measure]:
    shares = Counter(timed.claimed)
    mean = len(timed.claimed) / len(PARTS)
    apart = max(abs(shares[tenant] - mean) for tenant in shares) / mean
    how = f"{name}, {JOBS} queued jobs of {len(PARTS)} owners, {AGENTS} agents"
    print(f"{name}: {len(timed.took)} claims, {load['ended']} ended, shares {shares.most_common()}")
    rows = (
        ("submit p95", load["submits"], 50.0),
        ("claim p95", timed.took, 100.0),
        ("dashboard page p95", load["pages"], 200.0),
        ("event to a watcher p95", load["arrivals"], 1000.0),
    )
    return [
        Measure(f"{measure}, {name}", _p95(took), "ms", f"{how}; {len(took)} times", limit=limit)
        for measure, took, limit in rows
    ] + [Measure(f"shares apart, {name}", 100 * apart, "%", how, limit=10.0)]


def _p95(seconds: list[float]) -> float:
    return 1000 * statistics.quantiles(seconds, n=20)[-1]
