"""Tells ClearML of versions, and goes on until it knows.

    version without a link -> its files are seen in the store -> a child makes the dataset -> row
    linked, and then withdrawn or erased -> a child marks the dataset

Invariants:

- What is to be done is read from the database each time: it does not matter who made a version,
  when ClearML was set up, or what a kill broke off.
- One child at a time; a ClearML that is dead, slow or lying leaves rows behind, and costs one child
  now and then: waits double up to an hour, with a jitter.
- No request waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import AdapteryError
from adaptery.schemas.clearml import ClearmlLink, LinkState
from adaptery.schemas.stores import Remaining
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.clearml.addresses import NO_S3, Link, links_of
from adaptery_hub.clearml.program import Done, Failed
from adaptery_hub.database import Database
from adaptery_hub.database.statements import clearml_links as statements
from adaptery_hub.database.statements import clearml_tasks
from adaptery_hub.database.statements import versions as version_statements
from adaptery_hub.metrics import Metrics
from adaptery_hub.objects import FilesystemStore
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.publishing import prefix_of

logger = logging.getLogger(__name__)

#: Versions of one look.
LOOK_LIMIT = 20

_RESTRICTED = "not linked: ClearML is not told of {0} datasets"
_GONE = "not linked: the version is {0}"
_NEXT = "ClearML is told in a moment"
_DELETED = "somebody deleted it in ClearML"
_REMAINS = (
    "ClearML holds names, digests, sizes and addresses of its files, and no record. It is tagged "
    "`erased` there as soon as ClearML answers. Delete it there if it must not be known."
)
_TASK_REMAINS = (
    "ClearML holds names and digests of what its job learnt from, and no record. Delete it there "
    "if they must not be known."
)


class Program(Protocol):
    """What speaks with ClearML."""

    async def run(self, order: Mapping[str, Any]) -> Done | Failed:
        """Do what an order says."""
        ...


@dataclass(frozen=True)
class Waits:
    """Seconds between looks at the database, and after failures: doubled up to the last."""

    look: float = 5.0
    first: float = 10.0
    last: float = 3600.0

    def after(self, failures: int, rng: random.Random) -> float:
        """Return how long to wait after so many failures in a row, with a jitter."""
        return min(self.last, self.first * 2.0 ** min(failures - 1, 20)) * rng.uniform(0.5, 1.0)


@dataclass(frozen=True)
class LinkRules:
    """What the administrator says."""

    project: str
    sensitivities: Sequence[str]
    shares_files: bool
    deadline_seconds: float


class ClearmlLinks:
    """Keeps ClearML told."""

    def __init__(
        self,
        database: Database,
        store: FilesystemStore | S3Store,
        program: Program,
        audit: AuditLog,
        metrics: Metrics,
        rules: LinkRules,
        clock: Clock = now,
        waits: Waits = Waits(),
        rng: random.Random | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._program = program
        self._audit = audit
        self._metrics = metrics
        self._rules = rules
        self._clock = clock
        self._waits = waits
        self._rng = rng or random.Random()  # noqa: S311 - a jitter
        self._away = 0  # answers in a row that did not come
        self._trouble: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def possible(self) -> bool:
        """Whether this store has addresses for ClearML's users."""
        return isinstance(self._store, S3Store) or self._rules.shares_files

    def start(self) -> None:
        """Begin to tell, in the background."""
        if self.possible:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it; a child that runs is killed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> float:
        """Tell ClearML of everything that is due; return after how many seconds to look again."""
        moment, names = self._clock(), self._rules.sensitivities
        marks = await self._database.read(lambda c: statements.due_marks(c, moment, LOOK_LIMIT))
        links = await self._database.read(
            lambda c: statements.due_links(c, names, moment, LOOK_LIMIT)
        )
        wait = self._waits.look
        for row in [*marks, *links]:
            outcome = await self._tell(row)
            if isinstance(outcome, Failed) and outcome.kind in ("away", "missing"):
                self._away += 1
                self._trouble = outcome.reason
                wait = self._waits.after(self._away, self._rng)  # the others would fare no better
                break
            self._away, self._trouble = 0, None
        waiting = await self._database.read(lambda c: statements.count_waiting(c, names))
        self._metrics.clearml_waiting.set(waiting)
        return wait

    def describe(self, connection: Connection, version: RowMapping) -> ClearmlLink:
        """Return what ClearML knows of a version of `statements.versions`."""
        row = statements.get(connection, version["id"])

        project, name = place_of(self._rules.project, version)

        def told(state: LinkState, **more: Any) -> ClearmlLink:
            number = str(version["number"])
            return ClearmlLink(state=state, project=project, name=name, version=number, **more)

        if row is not None and row["state"] == statements.LINKED:
            reason = _DELETED if row["dataset"] is None else row["reason"]
            return told("linked", dataset=row["dataset"], reason=reason)
        if why := self._why_never(version):
            return told("not linked", reason=why)
        if row is None or row["reason"] is None:
            return told("pending", reason=self._trouble or _NEXT)
        state: LinkState = "failed" if row["state"] == statements.FAILED else "pending"
        return told(state, reason=row["reason"], next_try_at=row["next_try_at"])

    def _why_never(self, version: RowMapping) -> str | None:
        if not self.possible:
            return NO_S3
        if version["state"] != version_statements.COMPLETED:
            return _GONE.format(version["state"])
        guarded = version["counts"].get("encrypted") and "restricted" not in (
            self._rules.sensitivities
        )
        if guarded or version["sensitivity"] not in self._rules.sensitivities:
            return _RESTRICTED.format("restricted" if guarded else version["sensitivity"])
        return None

    async def _run(self) -> None:
        while True:
            wait = self._waits.last / 60
            try:
                wait = await self.look()
            except Exception as error:
                logs.log_exception(logger, "clearml_look_failed", error)
            await asyncio.sleep(wait)

    async def _tell(self, row: RowMapping) -> Done | Failed | None:
        """Tell ClearML of one version, and write down what came of it; None: another does."""
        at = self._clock()
        until = at + timedelta(seconds=2 * self._rules.deadline_seconds)
        if not await self._database.write(lambda c: statements.begin(c, row["id"], at, until)):
            return None
        try:
            outcome = await self._program.run(await self._order(row))
        except AdapteryError as error:
            outcome = Failed("store", error.message)
        kind = outcome.kind if isinstance(outcome, Failed) else "told"
        self._metrics.clearml_attempts.labels(kind).inc()
        if isinstance(outcome, Failed):
            await self._put_off(row, outcome)
        else:
            await self._database.write(lambda c: self._note(c, row, outcome))
        return outcome

    async def _order(self, row: RowMapping) -> dict[str, Any]:
        if row["state"] != version_statements.COMPLETED:
            tags = sorted({version_statements.WITHDRAWN, row["state"]})
            return {"action": "mark", "dataset": row["dataset"], "tags": tags}
        sources = [source["version"] for source in (row["recipe"] or {}).get("sources", ())]
        parents = await self._database.read(
            lambda c: statements.datasets_of(c, list(dict.fromkeys(sources)))
        )
        links = await asyncio.to_thread(links_of, self._store, prefix_of(row), row["id"])
        return self._link_order(row, links, parents)

    def _link_order(
        self, row: RowMapping, links: Sequence[Link], parents: Sequence[str]
    ) -> dict[str, Any]:
        project, name = place_of(self._rules.project, row)
        return {
            "action": "link",
            "project": project,
            "name": name,
            "number": str(row["number"]),
            "tag": f"adaptery:{row['id']}",
            "tags": [
                f"owner:{row['prefix']}",
                f"version:{row['number']}",
                f"content:{row['content_digest']}",
                f"manifest:{row['manifest_digest']}",
            ],
            "description": f"{version_statements.full_name(row)} of Adaptery, by links: "
            f"{row['counts']['records']} records.",
            "parents": list(parents),
            "links": [{"url": one.url, "path": one.path, "bytes": one.bytes} for one in links],
        }

    async def _put_off(self, row: RowMapping, failed: Failed) -> None:
        attempts = row["attempts"] + 1
        at = self._clock() + timedelta(seconds=self._waits.after(attempts, self._rng))
        away = failed.kind in ("away", "missing")
        state = statements.PENDING if away else statements.FAILED
        logs.log(
            logger,
            logging.WARNING,
            "clearml_put_off",
            version=row["id"],
            kind=failed.kind,
            reason=failed.reason,
            attempts=attempts,
        )
        await self._database.write(
            lambda c: statements.set_failed(c, row["id"], state, failed.reason, at)
        )

    def _note(self, connection: Connection, row: RowMapping, done: Done) -> None:
        statements.set_linked(connection, row["id"], done.dataset, row["state"])
        linked = row["state"] == version_statements.COMPLETED
        action = "version.clearml_link" if linked else "version.clearml_mark"
        details = {
            "name": version_statements.full_name(row),
            "dataset": done.dataset,
            "state": row["state"],
        }
        self._audit.append(connection, AuditEntry(action, None, row["id"], details))


def remaining(connection: Connection, version_ids: Sequence[str]) -> list[Remaining]:
    """Return what ClearML may hold of versions that are being erased."""
    found: list[Remaining] = []
    for row in statements.tried(connection, version_ids):
        which = f"ClearML dataset {row['dataset']}" if row["dataset"] else "a try to link"
        name = f"{which} of {version_statements.full_name(row)}"
        found.append(Remaining(kind="clearml", name=name, why=_REMAINS))
    for row in clearml_tasks.of_versions(connection, version_ids):
        name = f"ClearML task {row['task']} of the job {row['name']}"
        found.append(Remaining(kind="clearml", name=name, why=_TASK_REMAINS))
    return found


def place_of(root: str, version: RowMapping) -> tuple[str, str]:
    """Return project and name of the ClearML dataset, of letters that need no quoting.

    A slash makes a project below another; ClearML takes no name of less than three characters.
    """
    prefix: str = version["prefix"]
    owner = f"users/{prefix[1:]}" if prefix.startswith("@") else f"groups/{prefix}"
    return f"{root}/{owner}", version["dataset_name"].ljust(3, "_")
