"""From a state folder to a running agent: join if a token waits, connect, run, end on a signal.

Not here: what the agent does (`daemon`). Invariants:
- a broker that is away at the start is waited for; one that refuses the credentials ends the
  start, for waiting does not mend that;
- a join token is deleted as soon as it is used or refused.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import get_args

from adaptery import times
from adaptery.errors import (
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from adaptery.schemas.spec import Stage
from adaptery_network.agent.config import AgentConfig
from adaptery_network.agent.daemon import Agent
from adaptery_network.agent.tasks import end_tasks
from adaptery_network.agent_files import AgentFiles
from adaptery_network.join import join
from adaptery_network.nats_transport import NatsTransport

logger = logging.getLogger(__name__)

#: Put here by whoever mints the token (the service, for the local agent), mode 0600.
TOKEN_FILE = "join.token"  # noqa: S105 - a name, not a secret

_TOKEN_POLL_SECONDS = 0.5
_AGAIN_SECONDS = 1.0


async def run_agent(config: AgentConfig) -> None:
    """Run an agent until SIGTERM or SIGINT.

    Raises:
        NotAllowedError: the broker does not accept the agent: it was revoked.
        ConflictError: another agent runs on this state folder.
        IntegrityError: the identity of the agent is damaged, or its card has ended.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    starting = asyncio.create_task(_connect(config))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return
        files, transport = starting.result()
    finally:
        await end_tasks(starting, stopping)
    try:
        await Agent(config, files, transport).run(stop)
    finally:
        await transport.close()


async def _connect(config: AgentConfig) -> tuple[AgentFiles, NatsTransport]:
    files = await _member(config)
    url = config.broker_url or files.url
    while True:
        try:
            transport = await NatsTransport.connect(
                url,
                files.credentials,
                inbox_prefix=files.inbox_prefix,
                tls_ca=config.tls_ca,
            )
            return files, transport
        except UnavailableError:
            logger.info("no broker answers yet")
            await asyncio.sleep(_AGAIN_SECONDS)


async def _member(config: AgentConfig) -> AgentFiles:
    """Return the identity of the agent; join first if it has none or a new token waits."""
    token = config.state_dir / TOKEN_FILE
    if not token.exists() and not AgentFiles.exist(config.state_dir):
        logger.info("waiting for a join token in %s", token)
    while token.exists() or not AgentFiles.exist(config.state_dir):
        if token.exists():
            await _join_with(token, config)
        await asyncio.sleep(_TOKEN_POLL_SECONDS)
    return AgentFiles.load(config.state_dir, times.now())


async def _join_with(token: Path, config: AgentConfig) -> None:
    try:
        files = await join(
            token.read_text().strip(),
            config.state_dir,
            capabilities(config),
            tls_ca=config.tls_ca,
        )
    except (UnavailableError, NotFoundError) as error:
        logger.info("cannot join yet: %s", error.code)
        return
    except (NotAllowedError, InvalidInputError) as error:
        logger.error("the join token is not accepted: %s", error.code)
    else:
        logger.info("joined as %s", files.card.agent)
    token.unlink(missing_ok=True)


def capabilities(config: AgentConfig) -> dict[str, object]:
    """Return what the card of an agent says it can do; heartbeats say what it can do now."""
    return {
        "base_models": sorted(config.base_models),
        "embedding_models": sorted(config.embedding_models),
        "worker_slots": config.worker_slots,
        "stages": list(get_args(Stage)),
    }
