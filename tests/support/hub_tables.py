"""A database of the service with a few tenants and dataset versions, and an agent's view of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery.schemas.jobs import Job
from adaptery_hub.audit import AuditLog
from adaptery_hub.base_models import BaseModels
from adaptery_hub.database import Database, tables
from adaptery_hub.database.statements import jobs
from adaptery_hub.fleet.live import BaseModelReport
from adaptery_hub.identity import Identity
from adaptery_hub.job_dashboard import ConnectedAgents, JobDashboard
from adaptery_hub.job_desk import JobDesk
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.queue import EmbeddedQueue, Fence, Offer, RuleBook
from adaptery_hub.queue.port import Claim
from adaptery_hub.tasks import TaskCatalog
from support.schema import open_database

BASE = "tiny/tiny-llama"
WEIGHTS = "sha256:" + "b" * 64
OTHER_WEIGHTS = "sha256:" + "c" * 64
AGENT = "ag_01hzzzzzzzzzzzzzzzzzzzzzzz"


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class HubTables:
    """The database with the parts that work on jobs."""

    database: Database
    clock: Clock
    audit: AuditLog
    queue: EmbeddedQueue
    base_models: BaseModels
    desk: JobDesk
    dashboard: JobDashboard
    tenants: dict[str, str] = field(default_factory=dict)

    async def tenant(self, name: str, kind: str = "user") -> str:
        """Return the id of a tenant, made on first use."""
        if name not in self.tenants:
            row = {
                "id": new_id("tn"),
                "created_at": self.clock(),
                "kind": kind,
                "hub_name": name,
                "slug": name,
                "state": "active",
            }
            await self.database.write(lambda c: c.execute(tables.tenants.insert().values(row)))
            self.tenants[name] = row["id"]
        return self.tenants[name]

    async def identity(self, name: str, groups: tuple[str, ...] = ()) -> Identity:
        """Return a caller."""
        return Identity(
            tenant_id=await self.tenant(name),
            hub_name=name,
            slug=name,
            groups=groups,
            group_tenants=tuple([await self.tenant(group, "group") for group in groups]),
            group_slugs=groups,
            scopes=frozenset({"read", "write", "infer"}),
            token_kind="token",
        )

    async def version(
        self,
        owner: str,
        name: str = "visits",
        kind: str = "user",
        sensitivity: str = "internal",
        report: dict[str, object] | None = None,
    ) -> str:
        """Publish (in the tables only) the first version of a dataset; return its id."""
        tenant = await self.tenant(owner, kind)
        dataset, version, moment = new_id("ds"), new_id("dv"), self.clock()
        digest = "sha256:" + version[-1] * 64 if version[-1] in "0123456789abcdef" else WEIGHTS

        def insert(connection: object) -> None:
            connection.execute(  # type: ignore[attr-defined]
                tables.datasets.insert().values(
                    id=dataset,
                    created_at=moment,
                    updated_at=moment,
                    tenant_id=tenant,
                    creator_id=tenant,
                    name=name,
                    sensitivity=sensitivity,
                )
            )
            connection.execute(  # type: ignore[attr-defined]
                tables.versions.insert().values(
                    id=version,
                    created_at=moment,
                    dataset_id=dataset,
                    creator_id=tenant,
                    number=1,
                    content_digest=digest,
                    manifest_digest=digest,
                    counts={},
                    report=report,
                    state="completed",
                )
            )

        await self.database.write(insert)
        return version

    async def bind(self, digest: str = WEIGHTS) -> None:
        """Let an agent be the first to report the base model."""
        await self.base_models.observe([BaseModelReport(BASE, digest)])
        await self.queue.prepare()

    async def row(self, job_id: str) -> RowMapping:
        """Return a job's row."""
        row = await self.database.read(lambda c: jobs.get(c, job_id))
        assert row is not None
        return row

    async def described(
        self, *job_ids: str, owner: str = "demo", agents: ConnectedAgents | None = None
    ) -> list[Job]:
        """Return jobs as the API shows them to someone."""
        identity = await self.identity(owner)

        def rows(connection: Connection) -> list[RowMapping]:
            return [fetch(connection, tables.jobs, identity, id, Right.VIEW) for id in job_ids]

        found = await self.database.read(rows)
        return await self.dashboard.describe(found, identity, agents or ConnectedAgents())

    async def claim(self, agent: str = AGENT, weights: str = WEIGHTS) -> Claim | None:
        """Offer a slot."""
        return await self.queue.claim(Offer(agent, "training", frozenset({weights})))

    async def stage_adapter(self, claim: Claim) -> str:
        """Put a staged adapter where a commit would; return its id."""
        from adaptery_hub.database.statements import adapters

        adapter_id = f"ad_{claim.attempt_id[3:]}"
        values = {
            "id": adapter_id,
            "tenant_id": claim.tenant_id,
            "creator_id": claim.tenant_id,
            "name": (await self.row(claim.job_id))["name"],
            "job_id": claim.job_id,
            "base_model": BASE,
            "base_weight_digest": WEIGHTS,
            "weight_digest": OTHER_WEIGHTS,
            "sensitivity": "internal",
            "rank": 8,
            "bytes": 10,
            "files": [],
            "content_digests": [WEIGHTS],
            "card": {},
        }
        await self.database.write(lambda c: adapters.stage(c, values, self.clock()))
        return adapter_id


def fence_of(claim: Claim) -> Fence:
    """Return the fence of an attempt's own agent."""
    return Fence(claim.attempt_id, claim.agent_id, claim.fencing_token)


def open_tables(
    folder: Path, book: RuleBook | None = None, database: Database | None = None
) -> HubTables:
    """Make the database in a folder, unless there is another."""
    database = database or open_database(folder / "hub.sqlite")
    clock = Clock()
    audit = AuditLog("service", clock)
    base_models = BaseModels(database, audit, {BASE: "/models/tiny"}, BASE, {}, clock)
    queue = EmbeddedQueue(database, audit, book, clock=clock)
    desk = JobDesk(database, queue, TaskCatalog.load(), base_models)
    dashboard = JobDashboard(database, queue.book, clock)
    return HubTables(database, clock, audit, queue, base_models, desk, dashboard)
