"""`adaptery data publish` and `adaptery data withdraw`: a version begins, and is used no more."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from adaptery.connected_commands import WAIT_SECONDS, add_action
from adaptery.data_commands.review import QUEUES
from adaptery.errors import ConflictError, InvalidInputError
from adaptery.terminal import can_answer, confirmed, say, say_json, watched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adaptery.client import Hub, Version
    from adaptery.commands import Subparsers

__all__ = ["add"]


def add(actions: Subparsers) -> None:
    """Add the commands to those of `adaptery data`."""
    publishing = add_action(actions, "publish", "publish the draft as the next version", _publish)
    publishing.add_argument("name", metavar="NAME", help="the dataset, such as @demo/visits")
    publishing.add_argument(
        "--description",
        default="",
        help="what its card says; default: the description of the dataset",
    )
    publishing.add_argument("--license", help="an SPDX identifier, such as cc-by-4.0")
    publishing.add_argument("--json", action="store_true", help="as JSON, for programs")
    withdrawing = add_action(
        actions, "withdraw", "let nothing new be made of a version, for good", _withdraw
    )
    withdrawing.add_argument("version", metavar="NAME@VERSION", help="such as @demo/visits@1")
    withdrawing.add_argument("--reason", required=True, help="why; it stays with the version")
    withdrawing.add_argument("--yes", action="store_true", help="do it without asking")


def _publish(hub: Hub, arguments: argparse.Namespace) -> None:
    dataset = hub.datasets.get(arguments.name)
    try:
        version = dataset.publish(
            description=arguments.description,
            license=arguments.license,
            timeout_seconds=WAIT_SECONDS,
            progress=watched(),
        )
    except ConflictError as error:
        queues = [entry.where for entry in error.errors if entry.where in QUEUES]
        if not queues:
            raise
        raise ConflictError(
            error.message,
            hint=f"run `adaptery data review {dataset.full_name} --queues {' '.join(queues)}`, "
            "decide about what is open in the Curate view, then publish again",
            errors=error.errors,
        ) from None
    version = hub.datasets.version(version.id)  # says also how the store guards it
    if arguments.json:
        say_json(version.info.model_dump(mode="json"))
    else:
        _tell(version)


def _tell(version: Version) -> None:
    info = version.info
    dropped = info.duplicates_dropped
    again = f"; {dropped:,} that occur again were left out" if dropped else ""
    say(f"Published {info.name}: {info.records:,} records{again}.")
    if info.report is not None:
        say(f"kinds: {_counts(info.report.kinds)}")
    if info.splits:
        say(f"splits: {_counts(info.splits)}")
    if info.report is not None and info.report.unsplit:
        say(f"in no split: {info.report.unsplit:,}; no job that takes a split learns from these")
    say(f"content digest: {info.content_digest}")
    say(f"manifest digest: {info.manifest_digest}")
    if info.level is not None:
        say(f"guarded by the store: {info.level}")
    if info.encrypted:
        say("encrypted at rest: yes")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _withdraw(hub: Hub, arguments: argparse.Namespace) -> None:
    version = hub.datasets.version(arguments.version)
    if not arguments.yes:
        if not can_answer():
            raise InvalidInputError("Nobody can be asked; nothing was done.", hint="add --yes")
        if not confirmed(f"Withdraw {version.name}? It cannot be undone."):
            raise InvalidInputError("Nothing was withdrawn.")
    withdrawn = version.withdraw(arguments.reason)
    say(f"Withdrawn: {withdrawn.name}. Nothing new is made of it, and its adapters say so.")
