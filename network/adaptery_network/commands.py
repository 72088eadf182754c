"""``adaptery agent …`` and ``adaptery broker …`` on the command line.

Not here: what they do. Secrets come from files; the one-time join token may be given as a word
because it is worth nothing once it is used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from adaptery.errors import InvalidInputError, NotFoundError

__all__ = ["register"]

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
DEFAULT_BROKER_PORT = 4222  # the port registered for NATS


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands of the network to the command line."""
    _register_agent(subparsers)
    _register_broker(subparsers)


def _register_agent(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    agent = subparsers.add_parser("agent", help="lend this machine to a JupyterHub")
    actions = agent.add_subparsers(title="actions", required=True, metavar="ACTION")
    joining = actions.add_parser("join", help="join with a one-time token of an admin")
    joining.add_argument("url", help="address of the broker; replaces the one in the token")
    token = joining.add_mutually_exclusive_group(required=True)
    token.add_argument("--token", help="the token: adj_…")
    token.add_argument("--token-file", type=Path, help="a file that holds the token")
    _add_state(joining)
    joining.add_argument(
        "--base-model",
        action="append",
        default=[],
        metavar="NAME=SOURCE",
        help="a base model to serve: a folder, a .gguf file or hf:org/name; may be repeated",
    )
    joining.add_argument(
        "--embedding-model",
        action="append",
        default=[],
        metavar="NAME=SOURCE",
        help="an embedding model to serve: a folder or hf:org/name; may be repeated",
    )
    joining.add_argument("--models-dir", type=Path, help="where converted models are kept")
    joining.add_argument("--worker-slots", type=int, help="jobs at a time")
    joining.add_argument("--tls-ca", type=Path, help="a CA file to trust for the broker")
    joining.set_defaults(run=_join)
    running = actions.add_parser("run", help="run the agent until SIGTERM")
    _add_state(running)
    running.add_argument("--broker-url", help="address of the broker, if it has moved")
    running.set_defaults(run=_run)
    status = actions.add_parser("status", help="say what the agent does")
    _add_state(status)
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(run=_status)


def _register_broker(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    broker = subparsers.add_parser("broker", help="run the broker of the network")
    actions = broker.add_subparsers(title="actions", required=True, metavar="ACTION")
    running = actions.add_parser("run", help="run the broker until SIGTERM")
    _add_state(running)
    running.add_argument("--port", type=int, default=DEFAULT_BROKER_PORT, help="loopback port")
    running.set_defaults(run=_run_broker)


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="state folder")


def _join(arguments: argparse.Namespace) -> int:
    from adaptery_network.agent.config import load_config
    from adaptery_network.agent.lifecycle import capabilities
    from adaptery_network.join import JoinToken, join

    state = cast("Path", arguments.state).absolute()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = load_config(
        state,
        base_models=_read_models(arguments.base_model) or None,
        embedding_models=_read_models(arguments.embedding_model) or None,
        models_dir=arguments.models_dir and arguments.models_dir.absolute(),
        worker_slots=arguments.worker_slots,
        tls_ca=arguments.tls_ca and arguments.tls_ca.absolute(),
    )
    text = arguments.token or _read_token(arguments.token_file)
    token = replace(JoinToken.from_text(text), url=arguments.url)
    files = asyncio.run(join(token.to_text(), state, capabilities(config), tls_ca=arguments.tls_ca))
    config.save()
    _say(f"joined as {files.card.agent}; start it with: adaptery agent run --state {state}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    import uvloop

    from adaptery_network.agent.config import load_config
    from adaptery_network.agent.lifecycle import run_agent

    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
    config = load_config(cast("Path", arguments.state), broker_url=arguments.broker_url)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_agent(config))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    status = _read_status(cast("Path", arguments.state) / "status.json")
    for line in [json.dumps(status, indent=2)] if arguments.json else _describe(status):
        _say(line)
    return 0


def _describe(status: Mapping[str, object]) -> list[str]:
    connected = "connected" if status.get("connected") else "NOT connected"
    lines = [
        f"{status.get('agent')} runs (pid {status.get('pid')}), {connected}, at {status.get('at')}"
    ]
    match status:
        case {"slots": {"workers": slots, "free": free}, "attempts": [*attempts]}:
            lines.append(f"slots: {slots}, free: {free}, attempts: {', '.join(attempts) or 'none'}")
    match status:
        case {"base_models": [*models]}:
            lines += [f"base model: {model['name']} {model['weight_digest']}" for model in models]
    match status:
        case {"models_folder": folder, "failed_base_models": [*failed]}:
            lines += [f"base model: {name} cannot be used, see its log there" for name in failed]
            lines.append(f"models folder: {folder}")
    match status:
        case {"embedding_models": [*models]}:
            lines += [
                f"embedding model: {model['name']} {model['weight_digest']}, {model['state']}"
                for model in models
            ]
    match status:
        case {"engine": {"state": state, "running": running, "adapters": [*adapters]}}:
            lines.append(f"engine: {state}, running: {running}, adapters: {len(adapters)}")
    return lines


def _read_status(path: Path) -> dict[str, object]:
    try:
        status = json.loads(path.read_text())
        os.kill(status["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFoundError(
            "No agent runs with this state folder.", hint="start it with: adaptery agent run"
        ) from None
    return status


def _run_broker(arguments: argparse.Namespace) -> int:
    from adaptery_network.broker import broker_command

    command: Sequence[str] = broker_command(cast("Path", arguments.state), arguments.port)
    os.execvp(command[0], list(command))  # noqa: S606 - becomes the broker, so signals reach it


def _read_token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        raise InvalidInputError("The token file cannot be read.", hint="check the path") from None


def _read_models(given: Sequence[str]) -> dict[str, str]:
    models: dict[str, str] = {}
    for entry in given:
        name, sign, source = entry.partition("=")
        if not (sign and name and source):
            raise InvalidInputError(
                "A model is given as NAME=SOURCE.", hint="for example tiny=/models/tiny"
            )
        models[name] = source
    return models


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
