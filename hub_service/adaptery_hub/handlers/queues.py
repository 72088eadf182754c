"""`api/queues`: how the queues are doing; administrators pause and empty them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import NotFoundError
from adaptery.schemas.common import Page
from adaptery.schemas.queues import Queue, QueueChange
from adaptery.states import JobState
from adaptery.times import now
from adaptery_hub.database.statements import queues as statements
from adaptery_hub.database.statements import tenants
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


class _QueueHandler(Handler):
    @property
    def is_admin(self) -> bool:
        """Whether the caller administers queues."""
        return "admin" in self.identity.scopes

    def names(self, connection: Connection) -> list[str]:
        """Return the queues that the caller may know of, by name.

        For users, those of the tasks that they may use; a queue may be named after others.
        """
        compute = compute_of(self)
        if not self.is_admin:
            return sorted({task.queue for task in compute.tasks.seen_by(self.identity.groups)})
        named = compute.tasks.queues().union(compute.queue.book.queues)
        touched = statements.all_touched(connection).keys()
        return sorted(named.union(touched, statements.of_open_jobs(connection)))

    def describe(self, connection: Connection, names: Sequence[str]) -> list[Queue]:
        """Return queues as the API shows them to the caller."""
        rows = statements.all_touched(connection)
        counts = statements.counts(connection, names)
        by = {row["changed_by"] for row in rows.values() if row["changed_by"]}
        people = {row["id"]: row["slug"] for row in tenants.get_many(connection, list(by))}
        return [self._describe(name, rows.get(name), counts, people) for name in names]

    def _describe(
        self,
        name: str,
        row: RowMapping | None,
        counts: Mapping[tuple[str, str], RowMapping],
        people: Mapping[str, str],
    ) -> Queue:
        compute = compute_of(self)
        queued = counts.get((name, JobState.QUEUED))
        training = counts.get((name, JobState.TRAINING))
        labels = compute.queue.book.of(name).labels
        by = people.get(row["changed_by"]) if row is not None else None
        return Queue(
            name=name,
            state=row["state"] if row is not None else "open",
            reason=row["reason"] if row is not None else None,
            queued=queued["jobs"] if queued is not None else 0,
            training=training["jobs"] if training is not None else 0,
            waits_since=queued["since"] if queued is not None else None,
            agents=len(compute.connected_agents().serving(labels)),
            changed_at=row["changed_at"] if row is not None else None,
            changed_by=f"@{by}" if by and self.is_admin else None,
            labels=tuple(sorted(labels)) if self.is_admin else None,
        )


class QueuesHandler(_QueueHandler):
    """All queues."""

    async def get(self) -> None:
        """List the queues, by name."""
        after, limit = self.page()

        def read(connection: Connection) -> list[Queue]:
            names = [name for name in self.names(connection) if after is None or name > after]
            return self.describe(connection, names[: limit + 1])

        self.answer_page(await self.services.db.read(read), limit)


class QueueHandler(_QueueHandler):
    """One queue."""

    async def patch(self, name: str) -> None:
        """Pause, empty or open the queue; answers it as it is then."""
        self.check_query()
        wanted = self.body(QueueChange)

        def change(connection: Connection) -> list[Queue]:
            if name not in self.names(connection):
                raise NotFoundError("There is no such queue.", hint="GET api/queues lists them.")
            row, by = statements.lock(connection, name, now()), self.identity.tenant_id
            statements.change(connection, row["id"], wanted.state, wanted.reason, by, now())
            self.audit(connection, "queue.change", row["id"], name=name, state=wanted.state)
            return self.describe(connection, [name])

        (found,) = await self.services.db.write(change)
        fleet = compute_of(self).fleet
        if fleet is not None:
            fleet.wake()
        self.answer(found)


ROUTES = [
    Route(
        "api/queues",
        QueuesHandler,
        {
            "GET": Operation(
                "read",
                "The queues of the tasks that I may use: their states, and how many jobs wait.",
                response=Page[Queue],
                query={**PAGE_QUERY, "after": "The name of the last queue of the page before."},
            )
        },
    ),
    Route(
        "api/queues/{name}",
        QueueHandler,
        {
            "PATCH": Operation(
                "admin",
                "Pause a queue, empty it (what trains saves a checkpoint and waits again), or open "
                "it.",
                request=QueueChange,
                response=Queue,
                fresh_identity=True,
            )
        },
    ),
]
