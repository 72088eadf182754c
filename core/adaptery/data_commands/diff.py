"""`adaptery data diff`: what changed from one version to another, down to the words."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.terminal import coloured, in_colour, printable, say, say_json, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adaptery.client import Hub
    from adaptery.commands import Subparsers
    from adaptery.schemas.common import JsonObject
    from adaptery.schemas.lineage import DiffItem, FieldDiff, WordPiece

__all__ = ["add"]

#: Characters of a text that is the same on both sides, at each end.
CONTEXT = 60


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery data`."""
    parser = add_action(actions, "diff", "say what changed from one version to another", _diff)
    parser.add_argument("before", metavar="BEFORE", help="such as @demo/visits@1")
    parser.add_argument("after", metavar="AFTER", help="such as @demo/visits@2")
    parser.add_argument(
        "--records", action="store_true", help="also which records, and which of their words"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def _diff(hub: Hub, arguments: argparse.Namespace) -> None:
    before = hub.datasets.version(arguments.before)
    after = hub.datasets.version(arguments.after)
    difference = after.diff(before)
    counts = difference.counts
    if arguments.json:
        told: dict[str, object] = {"before": before.name, "after": after.name}
        told["counts"] = counts.model_dump(mode="json")
        if arguments.records:
            told["records"] = [item.model_dump(mode="json") for item in difference]
        say_json(told)
        return
    say(
        f"From {before.name} to {after.name}: {counts.added:,} added, {counts.removed:,} removed, "
        f"{counts.changed:,} changed, {counts.same:,} the same."
    )
    if arguments.records:
        colours = in_colour()
        for item in difference:
            _tell(item, colours)


def _tell(item: DiffItem, colours: bool) -> None:
    from adaptery.data_commands.showing import record_lines

    say(f"\n{_headline(item)}")
    if item.words is not None:
        for field in item.words:
            _tell_field(field, colours)
        return
    sides: Sequence[tuple[str, JsonObject | None]] = (("-", item.before), ("+", item.after))
    for sign, record in sides:
        if record is not None:
            for line in record_lines(record):
                _write(sign, line, colours)


def _headline(item: DiffItem) -> str:
    if item.change != "changed":
        return f"{item.change}: record {item.before_position or item.after_position}"
    moved = item.before_position != item.after_position
    to = f", now record {item.after_position}" if moved else ""
    return f"changed: record {item.before_position}{to}"


def _tell_field(field: FieldDiff, colours: bool) -> None:
    say(f"  {field.where}")
    if colours:
        # The signs stay: not everybody sees the colours.
        write(f"    {''.join(map(_inline, _brief(field.pieces)))}\n")
        return
    for sign, left_out in (("-", "added"), ("+", "removed")):
        pieces = _brief([piece for piece in field.pieces if piece.change != left_out])
        for line in "".join(text for _, text in pieces).split("\n"):
            _write(sign, f"  {line}", colours)


def _brief(pieces: Sequence[WordPiece]) -> list[tuple[str, str]]:
    """Return change and text of each piece; of what stayed, only what is near a change."""
    return [(p.change, _ends(p.text) if p.change == "same" else p.text) for p in pieces]


def _ends(text: str) -> str:
    return text if len(text) <= 2 * CONTEXT else f"{text[:CONTEXT]} ... {text[-CONTEXT:]}"


def _inline(piece: tuple[str, str]) -> str:
    change, text = piece
    if change == "removed":
        return coloured(f"[-{text}-]", "red")
    return coloured(f"{{+{text}+}}", "green") if change == "added" else printable(text)


def _write(sign: str, line: str, colours: bool) -> None:
    text = f"{sign} {line}"
    if colours:
        write(f"{coloured(text, 'red' if sign == '-' else 'green')}\n")
    else:
        say(text)
