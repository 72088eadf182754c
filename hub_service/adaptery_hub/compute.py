"""Builds and runs the computing half of the service: tasks, queue, fleet and gateway.

Without a broker there is no fleet: jobs wait as `created` and say so, and inference answers that no
agent is connected. Everything else works.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from adaptery.errors import NoAgentError
from adaptery.files import write_atomic
from adaptery.schemas.common import parse
from adaptery.schemas.queues import QueueOptions
from adaptery.sealed import Frame
from adaptery_hub import logs
from adaptery_hub.audit import AuditLog
from adaptery_hub.base_models import BaseModels
from adaptery_hub.clearml.carriage import Carriage, build_carriage
from adaptery_hub.clearml.workers import WorkerDesk
from adaptery_hub.database import Database
from adaptery_hub.database.statements import attempts
from adaptery_hub.embedding_models import EmbeddingModels
from adaptery_hub.fleet.circumstances import Surroundings
from adaptery_hub.fleet.fleet import Fleet, FleetParts
from adaptery_hub.fleet.live import HEARTBEAT_SECONDS, AgentView
from adaptery_hub.fleet.offers import FileOffers
from adaptery_hub.fleet.registration import Registration
from adaptery_hub.fleet.roster import Roster
from adaptery_hub.fleet.session_desk import SessionDesk
from adaptery_hub.fleet.staging import StagingArea
from adaptery_hub.gateway import CacheSalts, Gateway, InferOrder, Resolver
from adaptery_hub.gateway.embedding import EmbeddingGateway, EmbedOrder
from adaptery_hub.gateway.gateway import SALT_SECRET_BYTES
from adaptery_hub.gateway.places import LineRules, PlaceMetrics, Places
from adaptery_hub.gateway.sealed import Desk, SealedChannel
from adaptery_hub.job_dashboard import ConnectedAgents, JobDashboard
from adaptery_hub.job_desk import JobDesk
from adaptery_hub.preflight.desk import PreflightDesk
from adaptery_hub.queue import EmbeddedQueue, QueueRules, RuleBook
from adaptery_hub.queue.forecast import AgentSlots
from adaptery_hub.services import Services
from adaptery_hub.settings import ServiceSettings
from adaptery_hub.spool import Spool
from adaptery_hub.tasks import TaskCatalog
from adaptery_hub.translations import Translations
from adaptery_hub.usage import UsageLog
from adaptery_network.agent_files import AgentFiles
from adaptery_network.broker import NetworkIdentity

logger = logging.getLogger(__name__)

#: The audit chain of this service; several replicas would each need their own name.
AUDIT_WRITER = "service"
LOCAL_AGENT_LABEL = "local"
#: After this every agent that is there was heard, however slowly it and the broker came.
SETTLE_SECONDS = 5 * HEARTBEAT_SECONDS
#: How long the agent of this machine has to join after a start of the service.
LOCAL_TOKEN_LIFE = timedelta(minutes=30)


@dataclass
class Compute:
    """The parts of the computing half."""

    audit: AuditLog
    tasks: TaskCatalog
    base_models: BaseModels
    queue: EmbeddedQueue
    jobs: JobDesk
    dashboard: JobDashboard
    gateway: Gateway
    embeddings: EmbeddingGateway
    sealed: SealedChannel
    usage: UsageLog
    translations: Translations
    preflights: PreflightDesk
    fleet: Fleet | None = None
    #: Takes jobs through ClearML, and lets its workers in; None: no queue leads there.
    carriage: Carriage | None = None

    @property
    def workers(self) -> WorkerDesk | None:
        """Where workers of ClearML come."""
        return self.carriage and self.carriage.workers

    def connected_agents(self) -> ConnectedAgents:
        """Returns what the live agents offer to jobs."""
        live = self.fleet.live.live() if self.fleet is not None else []
        slots = (
            AgentSlots(
                view.agent_id,
                view.beat.workers,
                frozenset(model.weight_digest for model in view.beat.base_models),
                self.fleet.labels(view.agent_id) if self.fleet is not None else frozenset(),
                view.abilities,
            )
            for view in live
        )
        return ConnectedAgents(
            tuple(slots),
            frozenset[str]().union(*(view.beat.preparing for view in live)),
            frozenset[str]().union(*(view.beat.failed_base_models for view in live)),
        )


class _NoNetwork:
    """Stands where the fleet would be when no broker is configured."""

    def views(self) -> Iterable[AgentView]:
        return ()

    def serves(self, agent_id: str, queue: str) -> bool:
        return False

    async def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        raise NoAgentError("No network of agents is configured.")
        yield  # makes this an asynchronous generator

    async def embed(self, agent_id: str, order: EmbedOrder) -> AsyncGenerator[Frame, None]:
        raise NoAgentError("No network of agents is configured.")
        yield  # makes this an asynchronous generator

    def sealed_desk(self) -> Desk:
        raise NoAgentError("No network of agents is configured.")


async def start_compute(services: Services) -> None:
    """Builds the parts and starts what runs in the background."""
    settings, database = services.settings, services.db
    audit = AuditLog(AUDIT_WRITER)
    tasks = await asyncio.to_thread(_load_tasks, settings)
    base_models, embedding_models = await _start_models(settings, database, audit)
    services.model_files.digest_of = base_models.digest
    queue = EmbeddedQueue(database, audit, rule_book(settings))
    spool = await asyncio.to_thread(Spool, settings.state_path / "usage")
    usage = UsageLog(database, audit, spool=spool)
    await usage.start()
    services.key_limits.pending_tokens = usage.pending_tokens
    parts = await _fleet_parts(services, audit, base_models, embedding_models, queue)
    fleet = await _start_fleet(settings, parts) if parts is not None else None
    carriage = await asyncio.to_thread(build_carriage, settings, parts, audit)
    salts = await asyncio.to_thread(_load_salts, settings.state_path / "keys" / "cache.secret")
    resolver = Resolver(database, base_models, embedding_models.names)
    network = fleet or _NoNetwork()
    places = Places(network.views, _line_rules(settings), PlaceMetrics(services.metrics.registry))
    services.limits.pending_tokens = usage.pending_tokens
    gateway = Gateway(resolver, network, usage, salts=salts, places=places, limits=services.limits)
    sealed = SealedChannel(resolver, network, usage, salts, places, services.limits)
    jobs = JobDesk(
        database,
        queue,
        tasks,
        base_models,
        services.storage,
        Surroundings(network.views, services.model_files, network.serves).of,
    )
    embeddings = EmbeddingGateway(
        embedding_models, base_models.names, network, usage, services.limits
    )
    translations = Translations(services, queue, audit)
    translations.start()
    services.compute = Compute(
        audit,
        tasks,
        base_models,
        queue,
        jobs,
        JobDashboard(
            database, queue.book, clearml_url=settings.clearml_web_url or settings.clearml_api_url
        ),
        gateway,
        embeddings,
        sealed,
        usage,
        translations,
        PreflightDesk(services.published, services.processes, services.model_files),
        fleet,
        carriage,
    )
    if carriage is not None:
        carriage.carrier.start()
    await log_audit_tail(services)


async def log_audit_tail(services: Services) -> None:
    """Notes where the audit ends outside of the database: rows that are cut off show against it."""
    if services.compute is not None:
        audit = services.compute.audit
        tail = await services.db.read(audit.tail)
        logs.log(
            logger,
            logging.INFO,
            "audit_tail",
            writer=audit.writer,
            seq=tail.seq,
            row_hash=tail.row_hash,
        )


def _line_rules(settings: ServiceSettings) -> LineRules:
    return LineRules(
        answers_per_agent=settings.answers_per_agent,
        wait_seconds=settings.answer_wait_seconds,
        per_tenant=settings.waiting_answers_per_tenant,
        in_all=settings.waiting_answers,
        settle_seconds=SETTLE_SECONDS if settings.broker_url else 0.0,
    )


async def stop_compute(services: Services) -> None:
    """Ends what runs in the background; agents go on and report to the next start."""
    compute = services.compute
    if compute is None:
        return
    await compute.translations.stop()
    if compute.carriage is not None:
        await compute.carriage.carrier.stop()
    if compute.fleet is not None:
        await compute.fleet.stop()
    await compute.usage.stop()
    await asyncio.to_thread(compute.preflights.close)
    await log_audit_tail(services)


async def _start_models(
    settings: ServiceSettings, database: Database, audit: AuditLog
) -> tuple[BaseModels, EmbeddingModels]:
    pins, embedding = settings.pinned_digests, settings.embedding_models
    base_models = BaseModels(
        database,
        audit,
        settings.base_models,
        settings.default_base_model,
        {name: digest for name, digest in pins.items() if name not in embedding},
    )
    embedding_models = EmbeddingModels(
        database,
        audit,
        embedding,
        next(iter(embedding), ""),
        {name: digest for name, digest in pins.items() if name in embedding},
    )
    await base_models.start()
    await embedding_models.start()
    return base_models, embedding_models


async def _fleet_parts(
    services: Services,
    audit: AuditLog,
    base_models: BaseModels,
    embedding_models: EmbeddingModels,
    queue: EmbeddedQueue,
) -> FleetParts | None:
    settings, database = services.settings, services.db
    if not settings.broker_url:
        return None
    identity = await asyncio.to_thread(NetworkIdentity.load_or_create, settings.state_path)
    staging = StagingArea(settings.state_path / "incoming")
    running = await database.read(attempts.running)
    await asyncio.to_thread(staging.discard_others, [row["id"] for row in running])
    registration = Registration(database, services.objects, staging, services.manifest_key)
    desk = SessionDesk(
        database, queue, FileOffers(services.objects, services.published), staging, registration
    )
    public_url = settings.broker_public_url or settings.broker_url
    roster = Roster(database, audit, identity, public_url)
    return FleetParts(
        database=database,
        queue=queue,
        base_models=base_models,
        embedding_models=embedding_models,
        model_files=services.model_files,
        roster=roster,
        identity=identity,
        desk=desk,
        book=queue.book,
        broker_url=settings.broker_url,
    )


async def _start_fleet(settings: ServiceSettings, parts: FleetParts) -> Fleet:
    fleet = Fleet(parts)
    await fleet.start()
    if settings.local_agent_token_file:
        await _mint_local_token(parts.roster, Path(settings.local_agent_token_file))
    return fleet


async def _mint_local_token(roster: Roster, path: Path) -> None:
    """Writes a join token for the agent of this machine, unless it is one of ours already."""
    # A token that waits makes the agent join anew, under another id: never leave one needlessly.
    joined = await asyncio.to_thread(AgentFiles.exist, path.parent)
    if joined and roster.has_label(LOCAL_AGENT_LABEL):
        return
    token = await roster.mint(None, [LOCAL_AGENT_LABEL], LOCAL_TOKEN_LIFE)
    await asyncio.to_thread(_write_token, path, token.text)


def _write_token(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, text.encode() + os.linesep.encode(), 0o600)


def _load_salts(path: Path) -> CacheSalts:
    """Returns the salts of this deployment; kept, so that a restart leaves warm caches warm."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, secrets.token_bytes(SALT_SECRET_BYTES), 0o600)
    return CacheSalts(path.read_bytes())


def _load_tasks(settings: ServiceSettings) -> TaskCatalog:
    folders = [Path(settings.tasks_dir)] if settings.tasks_dir else []
    return TaskCatalog(*folders)


def rule_book(settings: ServiceSettings) -> RuleBook:
    """Returns the rules of every queue, as the settings say."""
    usual = QueueRules(
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        retry_seconds=settings.retry_seconds,
        running_limit=settings.max_running_jobs_per_tenant or None,
        user_running_limit=settings.max_running_jobs_per_user or None,
    )
    queues = {
        name: usual.changed_by(parse(QueueOptions, options))
        for name, options in settings.queues.items()
    }
    return RuleBook(
        usual,
        queues,
        open_jobs_limit=settings.max_open_jobs_per_tenant,
        user_open_jobs_limit=settings.max_open_jobs_per_user or None,
    )
