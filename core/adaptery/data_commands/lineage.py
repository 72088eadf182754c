"""`adaptery data lineage`: what a version came from and went into, or who saw a record."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.terminal import say, say_json

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.commands import Subparsers
    from adaptery.schemas.lineage import GraphNode, ProvenanceGraph, RecordLineage

__all__ = ["add"]

RECORD_ID_PREFIX = "sha256:"


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery data`."""
    parser = add_action(
        actions, "lineage", "say what a version came from and went into, or who saw a record", _run
    )
    parser.add_argument(
        "thing",
        metavar="NAME[@VERSION]",
        help="a version; or the id of a record, sha256:…, as the Curate view has it",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def _run(hub: Hub, arguments: argparse.Namespace) -> None:
    if arguments.thing.startswith(RECORD_ID_PREFIX):
        seen = hub.datasets.lineage(arguments.thing)
        if arguments.json:
            say_json(seen.model_dump(mode="json"))
        else:
            _tell_record(seen)
        return
    version = hub.datasets.version(arguments.thing)
    graph = version.provenance()
    if arguments.json:
        say_json(graph.model_dump(mode="json"))
    else:
        _tell_graph(graph)


def _tell_record(seen: RecordLineage) -> None:
    if not seen.versions:
        say("No version that you may see holds this record.")
        return
    for version in seen.versions:
        split = f" of {version.split}" if version.split else ""
        say(f"{version.name} holds it: record {version.position:,}{split}; {version.state}")
    adapters = [node for node in seen.graph.nodes if node.kind == "adapter"]
    for adapter in adapters:
        say(f"{_name(adapter)} learnt from it")
    if not adapters:
        say("No adapter that you may see learnt from it.")


def _tell_graph(graph: ProvenanceGraph) -> None:
    nodes = {node.id: node for node in graph.nodes}
    for edge in graph.edges:
        taken = sum(one.records for one in edge.collated)
        records = f", {taken:,} records," if edge.collated else ""
        say(f"{_name(nodes[edge.source])}{records} went into {_name(nodes[edge.target])}")
    if not graph.edges:
        say("It was made by hand, and nothing was made of it yet.")
    if graph.truncated:
        say("There is more than is listed: ask for one of these, too.")


def _name(node: GraphNode) -> str:
    if node.name is None:
        return f"a {node.kind} that is not yours to see"
    noted = f" ({node.state})" if node.state == "withdrawn" else ""
    return f"{node.kind} {node.name}{noted}"
