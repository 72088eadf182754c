"""Translations: what a stage cannot learn from is merged into a version that it can, job by job.

    created, "translating 2 datasets to chat" -> merge (an operation of the submitter's)
        -> the job learns from the merged version -> queued

Invariants:
- The merged version is the submitter's and references the originals: whoever submits may view them,
  when it begins and when it ends. It is at least as sensitive as each of them.
- Its name and description say nothing of the originals, which it may be shared without.
- The same versions and the same recipe come to the same version again, for every job of a tenant.
- A job waits in `created` until its translation is there. Whatever dies in between, the next look
  finds the job and begins anew; a job that is cancelled ends its operation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.canonical import canonical_json
from adaptery.digests import sha256_bytes
from adaptery.errors import (
    AdapteryError,
    ConflictError,
    NotFoundError,
    QuotaError,
    SpecError,
    UnavailableError,
)
from adaptery.schemas.common import JsonObject, parse
from adaptery.schemas.datasets import DatasetCreate, Version
from adaptery.schemas.lineage import MergeRequest, MergeSource
from adaptery_hub import logs
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database.statements import datasets, jobs, operations, tenants, versions
from adaptery_hub.datasets import create_dataset
from adaptery_hub.identity import HubModel, Identity
from adaptery_hub.job_inputs import Chosen, Translation, input_specs, read_chosen
from adaptery_hub.permissions import Right
from adaptery_hub.publishing import source_names
from adaptery_hub.publishing.merges import (
    MergeWork,
    check_may_merge,
    make_recipe,
    merge_facts,
)
from adaptery_hub.publishing.publisher import strictest
from adaptery_hub.queue import EmbeddedQueue

if TYPE_CHECKING:
    from adaptery_hub.services import Services

logger = logging.getLogger(__name__)

#: How often jobs are looked for, besides when one was submitted.
LOOK_SECONDS = 1.0
_DIGEST_CHARACTERS = 12


class Translations:
    """Sees every job that waits for a translation to its end."""

    def __init__(self, services: Services, queue: EmbeddedQueue, audit: AuditLog) -> None:
        self._services = services
        self._queue = queue
        self._audit = audit
        #: Operations of this process, by the job that began them.
        self._begun: dict[str, str] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after jobs."""
        self._task = asyncio.create_task(self._tend(), name="translations")

    async def stop(self) -> None:
        """Look no more; jobs that wait are found by the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """Look now: a job was submitted or cancelled."""
        self._news.set()

    async def _tend(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._look()
            except Exception as error:  # the database may be away for a moment
                logs.log_exception(logger, "translating_failed", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)

    async def _look(self) -> None:
        waiting = await self._services.db.read(jobs.to_translate)
        await self._drop_others({job["id"] for job in waiting})
        for job in waiting:
            try:
                await self._advance(job)
            except (ConflictError, UnavailableError):
                continue  # its turn comes: another one works on it, or somebody does not answer
            except AdapteryError as error:
                await self._fail(job, _told(error.to_problem(None)))
            except Exception as error:  # one bad row must not keep everyone's jobs waiting
                logs.log_exception(logger, "translating_failed", error)

    async def _drop_others(self, waiting: set[str]) -> None:
        """End the operations of jobs that do not wait any more."""
        for job_id in set(self._begun) - waiting:
            await self._services.operations.cancel(self._begun.pop(job_id))

    async def _advance(self, job: RowMapping) -> None:
        translation = parse(Translation, job["translation"], SpecError)
        found = await self._services.db.read(lambda c: _find(c, job, translation))
        if found is not None:
            self._begun.pop(job["id"], None)
            await self._hand_over(job, translation, found)
        elif job["id"] not in self._begun:
            await self._begin(job, translation)
        else:
            await self._judge(job)

    async def _judge(self, job: RowMapping) -> None:
        """Fail a job whose operation ended without a version."""
        operation_id = self._begun[job["id"]]
        row = await self._services.db.read(lambda c: operations.get(c, operation_id))
        if row["state"] in ("failed", "cancelled"):
            del self._begun[job["id"]]
            await self._fail(job, _told(row["error"]) if row["error"] else "it was cancelled")

    async def _begin(self, job: RowMapping, translation: Translation) -> None:
        services = self._services
        identity = await self._submitter(job)
        sources = await services.db.read(lambda c: _sources(c, identity, translation))
        wanted = _request(translation)
        await services.storage.check(identity.tenant_id)
        dataset = await self._dataset(identity, wanted, sources)
        work = MergeWork(
            services.publisher,
            services.published,
            dataset,
            identity.tenant_id,
            wanted,
            sources,
            lambda c, version: self._note(c, identity, version),
        )
        work.names = lambda c, version: source_names(c, identity, [version])
        try:
            started = await services.operations.start(
                identity,
                "merge",
                dataset["id"],
                work,
                may=lambda c: check_may_merge(c, identity, dataset["id"], sources),
            )
        except QuotaError:
            return  # many of theirs run: its turn comes
        self._begun[job["id"]] = started["id"]
        asyncio.create_task(self._wake_at_end(started["id"]))  # noqa: RUF006 - the loop looks anyway

    async def _wake_at_end(self, operation_id: str) -> None:
        await self._services.operations.ended(operation_id)
        self.wake()

    async def _submitter(self, job: RowMapping) -> Identity:
        """Return whoever submitted a job, with the groups that the Hub names now.

        Raises:
            NotFoundError: they are gone.
            UnavailableError: the Hub does not answer.
        """
        services = self._services
        (owner,) = await services.db.read(lambda c: tenants.get_many(c, [job["creator_id"]]))
        name, kind = owner["hub_name"], owner["kind"]
        user = await services.identities.user(name) if kind == "user" else None
        if kind == "user" and user is None:
            raise NotFoundError("Whoever submitted it is gone.")
        groups, created_at = (user.groups, user.created_at) if user is not None else ((), None)
        model = HubModel(name, kind, groups, frozenset(), created_at=created_at)
        identity = await services.tenants.identity_of(model)
        if identity.tenant_id != job["creator_id"]:
            raise NotFoundError("Whoever submitted it is gone.")
        return identity

    async def _dataset(
        self, identity: Identity, wanted: MergeRequest, sources: list[RowMapping]
    ) -> RowMapping:
        """Return the dataset of a merged version; the first job of its recipe makes it."""
        services, name = self._services, _name_of(wanted, sources)
        found = await services.db.read(lambda c: datasets.find_named(c, identity.tenant_id, name))
        if found is not None:
            return await services.db.read(
                lambda c: datasets.get(c, identity, found["id"], Right.MANAGE)
            )
        made = DatasetCreate.model_validate(
            {
                "name": name,
                "sensitivity": strictest([row["sensitivity"] for row in sources]),
                # Of what, is told by its version, to those who may know.
                "description": f"Translated to {wanted.kind} for training.",
            }
        )
        return await create_dataset(
            services,
            identity,
            made,
            lambda c, dataset_id, full_name: self._append(
                c, identity, "dataset.create", dataset_id, name=full_name
            ),
        )

    async def _hand_over(
        self, job: RowMapping, translation: Translation, merged: RowMapping
    ) -> None:
        chosen = await self._services.db.read(lambda c: _chosen(c, translation, merged))
        specs = input_specs(chosen, holds_out=translation.holds_out)
        await self._queue.translated(job["id"], specs, _message(translation, merged))

    async def _fail(self, job: RowMapping, reason: str) -> None:
        await self._queue.fail_waiting(job["id"], f"The datasets cannot be translated: {reason}")

    def _note(self, connection: Connection, identity: Identity, version: Version) -> None:
        self._append(connection, identity, "version.merge", version.id, **merge_facts(version))

    def _append(
        self,
        connection: Connection,
        identity: Identity,
        action: str,
        thing: str,
        **facts: str | int,
    ) -> None:
        self._audit.append(connection, AuditEntry(action, identity.tenant_id, thing, facts))


def _request(translation: Translation) -> MergeRequest:
    sources = tuple(MergeSource(version=version) for version in translation.versions)
    return MergeRequest(sources=sources, kind=translation.kind)


def _sources(
    connection: Connection, identity: Identity, translation: Translation
) -> list[RowMapping]:
    """Return the versions to translate, as far as whoever submitted may view them.

    Raises:
        NotFoundError: a right is gone.
        NotAllowedError: a right is not enough.
        SpecError: a version was withdrawn.
    """
    rows = [
        versions.get(connection, identity, version, Right.VIEW) for version in translation.versions
    ]
    for row in rows:
        read_chosen(connection, row)
    return rows


def _recipe(wanted: MergeRequest, sources: list[RowMapping]) -> JsonObject:
    return make_recipe(wanted, sources).to_json()


def _name_of(wanted: MergeRequest, sources: list[RowMapping]) -> str:
    """Return the name of the dataset that holds what this recipe comes to.

    Nothing in it comes from the names of the sources: whoever is shown the dataset may not know
    them.
    """
    digest = sha256_bytes(canonical_json(_recipe(wanted, sources))).removeprefix("sha256:")
    return f"translated-to-{wanted.kind}-{digest[:_DIGEST_CHARACTERS]}"


def _find(connection: Connection, job: RowMapping, translation: Translation) -> RowMapping | None:
    """Return the merged version that the submitter has already of this recipe."""
    wanted = _request(translation)
    sources = [versions.find(connection, version) for version in translation.versions]
    name, recipe = _name_of(wanted, sources), _recipe(wanted, sources)
    for row in versions.of_dataset_named(connection, job["creator_id"], name):
        if row["recipe"] == recipe and row["state"] == versions.COMPLETED:
            return row
    return None


def _chosen(connection: Connection, translation: Translation, merged: RowMapping) -> list[Chosen]:
    """Return what a job learns from, with one version in place of what was translated."""
    order = [
        merged["id"] if version in translation.versions else version
        for version in translation.order
    ]
    rows = [versions.find(connection, version) for version in dict.fromkeys(order)]
    chosen = [read_chosen(connection, row) for row in rows]
    if translation.validation is not None:
        row = versions.find(connection, translation.validation)
        chosen.append(replace(read_chosen(connection, row), held_out=True))
    return chosen


def _message(translation: Translation, merged: RowMapping) -> str:
    """Return what the job's log says."""
    report = merged["report"] or {}
    dropped = ", ".join(
        f"{many:,} x {what}" for what, many in (report.get("dropped") or {}).items()
    )
    left_out = f"; left out: {dropped}" if dropped else ""
    return (
        f"{translation.datasets} translated to {translation.kind} in "
        f"{versions.full_name(merged)}: {merged['counts']['records']:,} records{left_out}"
    )


def _told(problem: Mapping[str, Any]) -> str:
    """Return a problem as the reason of a job."""
    said = [
        f"{entry['where']} {entry['reason']}; {entry['remedy']}"
        for entry in problem.get("errors") or ()
    ]
    return " ".join(said or filter(None, (problem["detail"], problem.get("hint"))))
