"""Kills parts of a deployment at random moments, brings them back, and judges what is left.

Everything is real: broker, service, two agents, their workers. Several users keep some jobs going
until all kills are spent; then every job has to end by itself. The same plan kills in the same
order, though not at the same instant.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import sqlalchemy as sa

from adaptery_hub.database import tables
from adaptery_network.agent.worker import ATTEMPT_MARK
from support.api import Api, alpaca, make_version
from support.deployment import Deployment, hub_of_tokens, token_of
from support.waiting import eventually_sync

USERS = ("anna", "bert", "cleo")
#: How often a part is killed; workers most, for they have most to lose.
WEIGHTS = {"worker": 5, "agent0": 3, "agent1": 3, "service": 2, "broker": 2}
OVER = ("completed", "failed", "cancelled")


@contextmanager
def stage(
    root: Path,
    *,
    agents: int = 2,
    options: Mapping[str, object] | None = None,
    **agent_options: object,
) -> Iterator[Deployment]:
    """Run a deployment that chaos may come over; `options` are the service's."""
    made = Deployment(
        root,
        options={"lease_seconds": 15.0, "max_attempts": 50, **(options or {})},
        agents=agents,
        agent_options={"engine_start": "first_use", "worker_grace_seconds": 5, **agent_options},
        behaviour="steady",
    )
    with hub_of_tokens(made.hub_port):
        try:
            made.start_processes()
            yield made
        finally:
            made.close()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much happens."""

    #: What is killed, in this order.
    kills: Sequence[str]
    seed: int = 1
    steps: int = 60
    save_steps: int = 10
    open_jobs: int = 3
    #: Pauses between two kills.
    pause_seconds: tuple[float, float] = (0.1, 0.8)
    patience_seconds: float = 240.0


def random_kills(count: int, seed: int) -> list[str]:
    """Return so many parts, workers most."""
    return random.Random(seed).choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)


@dataclass
class Chaos:
    """One run: what was killed, and which jobs there are."""

    deployment: Deployment
    plan: Plan
    killed: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, str] = field(default_factory=dict)  #: id -> its user

    def __post_init__(self) -> None:
        self._rng = random.Random(self.plan.seed)
        self._apis = {user: Api(self.deployment.url, token_of(user)) for user in USERS}
        self._versions: dict[str, str] = {}

    def run(self) -> None:
        """Kill until the plan is done, and wait until all jobs are over."""
        for user, api in self._apis.items():
            _, version = make_version(api, f"{user}s-notes", alpaca(8, user))
            self._versions[user] = version["name"]
        for part in self.plan.kills:
            self._keep_busy()
            time.sleep(self._rng.uniform(*self.plan.pause_seconds))  # chaos has its own clock
            self._kill(part)
            self.killed[part] += 1
        eventually_sync(
            lambda: not self._open(),
            timeout_seconds=self.plan.patience_seconds,
            every_seconds=0.2,
        )

    def close(self) -> None:
        """Close the clients."""
        for api in self._apis.values():
            api.close()

    def summary(self) -> str:
        """Return what was done, in words."""
        killed = ", ".join(f"{part} {times}" for part, times in sorted(self.killed.items()))
        return f"seed {self.plan.seed}, {len(self.jobs)} jobs; killed: {killed}"

    def problems(self) -> list[str]:
        """Return everything that is not as it should be, in words; an empty list if all is well."""
        return [*self._problems_of_jobs(), *self._leftovers()]

    def _keep_busy(self) -> None:
        with suppress(httpx.HTTPError):
            while len(self._open()) < self.plan.open_jobs:
                number = len(self.jobs)
                user = USERS[number % len(USERS)]
                body = {
                    "task": "training-v0",
                    "name": f"{user}-{number}",
                    "dataset": self._versions[user],
                    "options": {"max_steps": self.plan.steps, "save_steps": self.plan.save_steps},
                    "key": f"chaos-{number}",  # a lost answer is asked for again
                }
                answer = self._apis[user].post("api/jobs", json=body)
                if answer.status_code != 201:
                    return
                self.jobs[answer.json()["id"]] = user

    def _open(self) -> list[str]:
        """Return the jobs that are not over, or may not be."""
        return [job for job in self.jobs if self._job(job).get("state") not in OVER]

    def _job(self, job: str) -> Mapping[str, object]:
        with suppress(httpx.HTTPError):
            answer = self._apis[self.jobs[job]].get(f"api/jobs/{job}")
            if answer.is_success:
                return answer.json()
        return {}

    def _kill(self, part: str) -> None:
        if part == "worker":
            workers = eventually_sync(self._workers, timeout_seconds=self.plan.patience_seconds)
            with suppress(psutil.NoSuchProcess):
                self._rng.choice(workers).send_signal(signal.SIGKILL)
        else:
            self.deployment.kill(part)
            self._restart(part)

    def _restart(self, part: str) -> None:
        restart: dict[str, Callable[[], None]] = {
            "service": self.deployment.start_service,
            "broker": self.deployment.start_broker,
            "agent0": lambda: self.deployment.start_agent(0),
            "agent1": lambda: self.deployment.start_agent(1),
        }
        restart[part]()

    def _workers(self) -> list[psutil.Process]:
        """Return every process that works for an attempt, eldest first."""
        attempts = str(self.deployment.root)
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                marked = process.environ().get(ATTEMPT_MARK)
                if marked and process.cwd().startswith(attempts):
                    found.append(process)
        return sorted(found, key=lambda process: (process.create_time(), process.pid))

    def _problems_of_jobs(self) -> Iterator[str]:
        database = self.deployment.database()
        try:
            with database.engine.connect() as connection:
                attempts = connection.execute(sa.select(tables.attempts)).mappings().all()
                adapters = connection.execute(sa.select(tables.adapters)).mappings().all()
        finally:
            database.close()
        made = Counter(row["job_id"] for row in adapters if row["state"] == "completed")
        outcomes = {job: Counter[str]() for job in self.jobs}
        for row in attempts:
            outcomes[row["job_id"]][row["outcome"]] += 1
        for job in self.jobs:
            found = self._job(job)
            if found.get("state") != "completed":
                yield f"{job} is {found.get('state')}: {found.get('reason')}"
            if made[job] != 1:
                yield f"{job} has {made[job]} adapters"
            if set(outcomes[job]) - {"completed", "lost"} or outcomes[job]["completed"] != 1:
                yield f"{job} has attempts that ended {dict(outcomes[job])}"
            yield from (f"{job}: {problem}" for problem in self._problems_of_curve(job))

    def _problems_of_curve(self, job: str) -> Iterator[str]:
        steps = list(self._steps(job))
        if missing := set(range(1, self.plan.steps + 1)) - set(steps):
            yield f"its curve lacks the steps {sorted(missing)}"
        for before, after in pairwise(steps):
            if after > before + 1:
                yield f"its curve leaps from step {before} to {after}"
            if after < before + 1 - self.plan.save_steps:
                yield f"its curve goes back from step {before} to {after}"

    def _steps(self, job: str) -> Iterator[int]:
        after, more = "", True
        while more:
            page = self._apis[self.jobs[job]].json(
                "GET", f"api/jobs/{job}/metrics", params={"limit": 200, "after": after}
            )
            for item in page["items"]:
                yield item["data"]["step"]
                after = item["seq"]
            more = page["has_more"]

    def _leftovers(self) -> Iterator[str]:
        """Return what may be there for a moment after the last job's end, and no longer."""
        with suppress(AssertionError):
            eventually_sync(lambda: not self._left(), timeout_seconds=20)
        yield from self._left()

    def _left(self) -> list[str]:
        folders = [
            *self.deployment.root.glob("agent?/attempts/*"),
            *(self.deployment.state / "incoming").glob("*"),
        ]
        left = [f"{folder} is left behind" for folder in folders]
        return left + [f"process {process.pid} still works" for process in self._workers()]
