"""The agent as a whole: what it is made of, and the order in which it comes up and goes down.

    up:    lock the state folder -> end orphans, settle their attempts -> heartbeats -> orders
           -> models (converted in the background) -> engines -> inference, embeddings
    down:  no new orders -> open answers end -> workers save and hand in -> engines end

Not here: any of the parts. Invariants:
- one process per state folder;
- no order is taken before every orphan of an earlier life is gone;
- nothing that it started outlives an orderly end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from adaptery import serving, times
from adaptery.errors import ConflictError, EngineBusyError, TooLargeError, UnavailableError
from adaptery.sealed import RequestOpener, Session, sign_heartbeat
from adaptery.times import Clock
from adaptery_network import subjects
from adaptery_network.agent.abilities import ask_abilities
from adaptery_network.agent.adapter_cache import AdapterCache
from adaptery_network.agent.attempt import AttemptTools
from adaptery_network.agent.base_models import BaseModel, BaseModels, EmbeddingModels, try_lock
from adaptery_network.agent.config import AgentConfig
from adaptery_network.agent.embedding import EmbedderSeat, EmbeddingServer
from adaptery_network.agent.engine import Engine, EngineTiming
from adaptery_network.agent.folders import AgentFolders
from adaptery_network.agent.heartbeats import Pulse
from adaptery_network.agent.inference import EngineSeat, InferenceServer
from adaptery_network.agent.isolation import isolate
from adaptery_network.agent.lines import Line
from adaptery_network.agent.load import LoadMeter
from adaptery_network.agent.model_files import ModelFilesServer
from adaptery_network.agent.orders import SessionKey
from adaptery_network.agent.reporter import ReportTiming
from adaptery_network.agent.residents import Residents
from adaptery_network.agent.slots import WorkerSlots
from adaptery_network.agent.tasks import end_tasks
from adaptery_network.agent.worker import WorkerSettings
from adaptery_network.agent_files import AgentFiles
from adaptery_network.sealed_server import SealedServer
from adaptery_network.sessions import SessionClient
from adaptery_network.transport import Transport

logger = logging.getLogger(__name__)

#: How soon a subscription is tried again that the broker was away for.
_SUBSCRIBE_AGAIN_SECONDS = 0.5


class Agent:
    """One agent that has joined and has a connection."""

    def __init__(
        self,
        config: AgentConfig,
        files: AgentFiles,
        transport: Transport,
        *,
        clock: Clock = times.now,
        report: ReportTiming | None = None,
        engine: EngineTiming | None = None,
    ) -> None:
        self._config = config
        self._files = files
        self._transport = transport
        self._clock = clock
        self._engine_timing = engine or EngineTiming()
        self._isolation = isolate(
            config.worker_users, config.worker_slots, network=config.worker_network == "host"
        )
        self._folders = AgentFolders(
            config.state_dir, config.models_folder, passable=bool(config.worker_users)
        )
        self._folders.create()
        self._base_models = BaseModels(
            config.base_models,
            self._folders.models,
            config.convert_command,
            config.threads_per_engine,
        )
        self._embedding_models = EmbeddingModels(
            config.embedding_models,
            self._folders.models,
            config.convert_embedder_command,
            config.threads_per_engine,
        )
        self._embedders: dict[str, EmbedderSeat] = {}
        self._abilities: frozenset[str] | None = None
        self._preparing = True
        self._draining = False
        self._seats: dict[str, EngineSeat] = {}
        self._cache = AdapterCache(self._folders.adapters, config.cache_limit_bytes)
        self._slots = self._make_slots(report or ReportTiming())
        opener = RequestOpener(files.identity, files.issuer, clock, clock())
        owner, agent = files.card.owner, files.card.agent
        self._control = SealedServer(
            transport,
            subjects.control(owner, agent),
            "train",
            opener,
            self._slots.handle,
            also={"fetch": ModelFilesServer(self._base_models.find).answer},
        )
        inference = InferenceServer(self._find_seat, self._open_line)
        embedding = EmbeddingServer(self._find_embedder)
        self._infer = SealedServer(
            transport,
            subjects.infer(owner, agent),
            "infer",
            opener,
            inference.answer,
            also={"embed": embedding.answer},
            signer=files.signing_key,
        )
        self._pulse = Pulse(
            agent=agent,
            clock=clock,
            slots=self._slots,
            base_models=lambda: self._base_models.ready,
            seats=self._seats.values,
            embedders=self._embedders.values,
            awaited=lambda: self._base_models.awaited,
            failed=lambda: self._base_models.failed,
            abilities=lambda: self._abilities,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then end everything in order.

        Raises:
            ConflictError: another agent runs on this state folder.
        """
        async with _only_one(self._folders.lock):
            logger.info("agent %s starts", self._files.card.agent)
            await self._slots.recover()
            heart = asyncio.create_task(self._beat(), name="heartbeats")
            rooms = asyncio.create_task(self._open_rooms(), name="rooms")
            asking = asyncio.create_task(self._ask_workers(), name="abilities")
            stopping = asyncio.create_task(stop.wait(), name="stop")
            try:
                # Either of the others ends only by a bug; better to end and be started again.
                await asyncio.wait({stopping, heart}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await self._close(rooms)
                await end_tasks(heart, stopping, asking)
            logger.info("agent %s ended", self._files.card.agent)

    async def _ask_workers(self) -> None:
        config = self._config
        self._abilities = await ask_abilities(config.worker_command, config.threads_per_worker)

    async def _open_rooms(self) -> None:
        await self._serve(self._control)
        await self._base_models.prepare()
        for model in self._base_models.ready:
            engine = self._make_engine(model, self._config.engine_command)
            residents = Residents(engine, self._cache, self._config.resident_adapters)
            self._seats[model.name] = EngineSeat(engine, residents)
            if self._config.engine_start == "start":
                engine.start()
        self._preparing = False
        serving.settle()
        await self._serve(self._infer)
        await self._embedding_models.prepare()  # last: chats do not wait for it
        for model in self._embedding_models.ready:
            engine = self._make_engine(model, self._config.embedder_command)
            self._embedders[model.name] = EmbedderSeat(model, engine)

    def _make_engine(self, model: BaseModel, command: Sequence[str]) -> Engine:
        return Engine(
            model,
            folder=self._folders.engine(model.name),
            command=command,
            threads=self._config.threads_per_engine,
            timing=self._engine_timing,
        )

    async def _serve(self, server: SealedServer) -> None:
        while True:
            try:
                await server.start()
                return
            except UnavailableError:
                await asyncio.sleep(_SUBSCRIBE_AGAIN_SECONDS)

    async def _close(self, rooms: asyncio.Task[None]) -> None:
        self._draining = True
        await end_tasks(rooms)
        # Answers end first: their callers can still ask another agent.
        await self._infer.stop()
        seats = (*self._seats.values(), *self._embedders.values())
        engines = [seat.engine.stop() for seat in seats]
        await asyncio.gather(self._slots.drain(self._config.drain_seconds), *engines)
        await self._control.stop()
        self._folders.status.unlink(missing_ok=True)

    async def _beat(self) -> None:
        meter = LoadMeter(self._folders.root)
        subject = subjects.health(self._files.card.owner, self._files.card.agent)
        # Grows over restarts too: readers drop a beat whose number they have passed.
        seq = time.time_ns() // 1_000_000
        while True:
            seq += 1
            load = await asyncio.to_thread(meter.measure)
            document = self._pulse.beat(seq, load, draining=self._draining)
            try:
                payload = sign_heartbeat(document, self._files.signing_key)
                await self._transport.publish(subject, payload)
            except (UnavailableError, TooLargeError) as error:
                logger.debug("a heartbeat is dropped: %s", error.code)
            status = {
                **document,
                "connected": self._transport.connected,
                "pid": os.getpid(),
                "models_folder": str(self._folders.models),
            }
            await asyncio.to_thread(_replace, self._folders.status, status)
            await asyncio.sleep(self._config.heartbeat_seconds)

    def _make_slots(self, report: ReportTiming) -> WorkerSlots:
        config = self._config
        tools = AttemptTools(
            cache=self._cache,
            pinned=self._pinned,
            worker=WorkerSettings(
                command=config.worker_command,
                threads=config.threads_per_worker,
                grace_seconds=config.worker_grace_seconds,
                isolation=self._isolation,
            ),
            report=report,
            keep_failed=config.keep_failed_attempts,
        )
        return WorkerSlots(
            config.worker_slots,
            folders=self._folders,
            base_models=self._base_models,
            tools=tools,
            open_line=self._open_line,
        )

    def _pinned(self) -> set[str]:
        return {digest for seat in self._seats.values() for digest in seat.residents.digests}

    def _open_line(self, session: SessionKey) -> Line:
        card = self._files.card
        return SessionClient(
            self._transport,
            card.owner,
            card.agent,
            Session(session.secret(), session.id),
            clock=self._clock,
            # The agent has its own patience, which knows about leases.
            retry_seconds=0,
        )

    def _find_seat(self, name: str, weight_digest: str) -> EngineSeat:
        if self._preparing and name in self._config.base_models:
            raise EngineBusyError("The base model is being prepared.", retry_after_seconds=5)
        return self._seats[self._base_models.find(name, weight_digest).name]

    def _find_embedder(self, name: str, weight_digest: str) -> EmbedderSeat:
        model = self._embedding_models.find(name, weight_digest)
        if model.name not in self._embedders:  # it was converted a moment ago
            raise EngineBusyError("The embedding model is being prepared.", retry_after_seconds=5)
        return self._embedders[model.name]


@asynccontextmanager
async def _only_one(path: Path) -> AsyncIterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not try_lock(descriptor):
            raise ConflictError(f"Another agent runs with the state folder {path.parent}.")
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, document: dict[str, object]) -> None:
    """Write a file that is stale in two seconds: whole, but not worth waiting for the disk."""
    draft = path.with_suffix(".draft")
    with suppress(OSError):  # a full disk must not stop the heart
        draft.write_text(json.dumps(document))
        draft.replace(path)
