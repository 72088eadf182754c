"""Where a version came from and what came of it, as a graph; and who saw one record.

Invariants:

- Each thing is shown by the one predicate of permission: what the caller may not see has no name,
  no id and no details. Upwards it leaves a nameless node (something is there: the manifest says so
  too); downwards it is left out, as whoever uses a version does so in private.
- A job saw a record only if the record was in a split that the job learnt from or was evaluated
  on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from sqlalchemy.engine import Connection, RowMapping

from adaptery.schemas.lineage import (
    Collated,
    GraphEdge,
    GraphNode,
    LineageSighting,
    ProvenanceGraph,
    Split,
)
from adaptery_hub.database.statements import job_inputs
from adaptery_hub.database.statements import lineage as statements
from adaptery_hub.database.statements.versions import full_name
from adaptery_hub.identity import Identity
from adaptery_hub.publishing.describing import prefix_of
from adaptery_hub.publishing.indexes import opened_index
from adaptery_hub.publishing.published import PublishedVersions

#: Things that one graph shows.
NODES_LIMIT = 1_000
#: Versions that are looked into for one record, the newest first.
VERSIONS_SEARCHED = 2_000


class Graph:
    """Builds a graph; a thing is in it once."""

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self._connection = connection
        self._identity = identity
        self._nodes: dict[str, GraphNode] = {}
        self._edges: dict[tuple[str, str], list[Collated]] = {}
        self._truncated = False
        self._hidden: dict[str, str] = {}

    def result(self) -> ProvenanceGraph:
        """Return what was gathered."""
        return ProvenanceGraph(
            nodes=tuple(self._nodes.values()),
            edges=tuple(
                GraphEdge(source=source, target=target, collated=tuple(collated))
                for (source, target), collated in self._edges.items()
            ),
            truncated=self._truncated,
        )

    def add_versions(self, rows: Iterable[RowMapping]) -> list[str]:
        """Add versions that the caller may view; return the ids of those that are new."""
        return [row["id"] for row in rows if self._add(_version_node(row))]

    def add_above(self, rows: Sequence[RowMapping]) -> None:
        """Add what versions came from: files, sources, and what those came from."""
        level = list(rows)
        seen = {row["id"] for row in level}
        while level:
            self._add_files([row["id"] for row in level])
            sources = statements.direct_sources(self._connection, [row["id"] for row in level])
            wanted = {source for ids in sources.values() for source in ids}
            visible = statements.versions_by_id(self._connection, self._identity, wanted)
            for version_id, ids in sources.items():
                for source in ids:
                    self._add_source(source, visible.get(source), version_id)
            self._add_collated(level)
            level = [row for source, row in visible.items() if source not in seen]
            seen |= visible.keys()

    def add_below(self, rows: Sequence[RowMapping]) -> None:
        """Add what came of versions: merged versions, jobs, adapters."""
        ids = [row["id"] for row in rows]
        merged = statements.merged_from(self._connection, self._identity, ids, NODES_LIMIT + 1)
        self.add_versions(merged)
        self.connect_sources([row["id"] for row in merged])
        every = [*ids, *(row["id"] for row in merged)]
        self.add_uses(statements.uses_of(self._connection, every))

    def add_uses(self, uses: Sequence[RowMapping]) -> None:
        """Add the jobs that took versions, the adapters that they made, and what came of those."""
        links = {(use["version_id"], use["job_id"]) for use in uses}
        while links:  # it ends: a job goes on from what was there before it
            last = self._add_jobs(links)
            heirs = job_inputs.heirs_of(self._connection, last)
            links = {(last[row["source_job_id"]], row["job_id"]) for row in heirs}

    def _add_jobs(self, links: Collection[tuple[str, str]]) -> dict[str, str]:
        """Add what went into jobs, the jobs and their adapters; return what came last of each."""
        job_ids = {job_id for _, job_id in links}
        jobs = statements.jobs_by_id(self._connection, self._identity, job_ids)
        adapters = {
            row["job_id"]: row
            for row in statements.adapters_of(self._connection, self._identity, job_ids)
        }
        last: dict[str, str] = {}
        for before, job_id in sorted(links):
            last[job_id] = before
            job, adapter = jobs.get(job_id), adapters.get(job_id)
            nodes = [_job_node(job)] if job is not None else []
            nodes += [_adapter_node(adapter)] if adapter is not None else []
            for node in nodes:
                self._add(node)
                self.connect(last[job_id], node.id)
                last[job_id] = node.id
        return last

    def connect_sources(self, version_ids: Sequence[str]) -> None:
        """Say which of the shown versions were made from which."""
        found = statements.direct_sources(self._connection, version_ids)
        for version_id, sources in found.items():
            for source in sources:
                self.connect(source, version_id)

    def connect(self, source: str, target: str) -> None:
        """Say that one thing went into another, if both are shown."""
        if source in self._nodes and target in self._nodes:
            self._edges.setdefault((source, target), [])

    def _add_files(self, version_ids: list[str]) -> None:
        for row in statements.files_of(self._connection, version_ids):
            node = GraphNode(
                id=row["file_id"],
                kind="file",
                name=row["name"],
                digest=row["digest"],
                records=row["records"],
            )
            self._add(node)
            self.connect(row["file_id"], row["version_id"])

    def _add_source(self, source: str, row: RowMapping | None, target: str) -> None:
        if row is not None:
            self._add(_version_node(row))
            self.connect(source, target)
            return
        self.connect(self._hide(source, "version"), target)

    def _hide(self, source: str, kind: Literal["dataset", "version"]) -> str:
        name = self._hidden.setdefault(source, f"hidden-{len(self._hidden) + 1}")
        self._add(GraphNode(id=name, kind=kind, name=None))
        return name

    def _add_collated(self, rows: Sequence[RowMapping]) -> None:
        """Add what was collated into drafts before they were published, and how much of it."""
        every = [(row["id"], one) for row in rows for one in row["collated"] or ()]
        ids = {one["source"] for _, one in every}
        drafts = statements.datasets_by_id(self._connection, self._identity, ids)
        published = statements.versions_by_id(self._connection, self._identity, ids)
        for target, one in every:
            source = one["source"]
            if source in drafts:
                self._add(_dataset_node(drafts[source]))
            elif source in published:
                self._add(_version_node(published[source]))
            shown = source in drafts or source in published
            node = source if shown else self._hide(source, one["kind"])
            self.connect(node, target)
            if (node, target) in self._edges:
                self._edges[node, target].append(
                    Collated(
                        records=one["records"],
                        digest=one["digest"] if shown else None,
                        recipe=one["recipe"] if shown else None,
                    )
                )

    def _add(self, node: GraphNode) -> bool:
        if node.id in self._nodes:
            return False
        if len(self._nodes) >= NODES_LIMIT:
            self._truncated = True
            return False
        self._nodes[node.id] = node
        return True


def provenance(connection: Connection, identity: Identity, version_id: str) -> ProvenanceGraph:
    """Return the graph around a version that the caller may view."""
    graph = Graph(connection, identity)
    rows = list(statements.versions_by_id(connection, identity, [version_id]).values())
    graph.add_versions(rows)
    graph.add_above(rows)
    graph.add_below(rows)
    return graph.result()


def sightings(
    published: PublishedVersions, rows: Sequence[RowMapping], record_id: str
) -> list[LineageSighting]:
    """Return which of some versions hold a record. Blocking."""
    found: list[LineageSighting] = []
    for row in rows:
        with opened_index(published.index(prefix_of(row))) as index:
            entry = index.find(record_id)
        if entry is not None:
            found.append(
                LineageSighting(
                    version=row["id"],
                    name=full_name(row),
                    position=entry.position,
                    split=entry.split,
                    state=row["state"],
                )
            )
    return found


def followed(
    connection: Connection, identity: Identity, found: Sequence[LineageSighting]
) -> ProvenanceGraph:
    """Return the graph of the versions that hold a record, and of who saw it."""
    splits: Mapping[str, Split | None] = {one.version: one.split for one in found}
    graph = Graph(connection, identity)
    rows = list(statements.versions_by_id(connection, identity, splits).values())
    graph.add_versions(rows)
    graph.connect_sources([row["id"] for row in rows])
    uses = statements.uses_of(connection, splits)
    graph.add_uses(
        [use for use in uses if use["split"] in (None, "all", splits[use["version_id"]])]
    )
    return graph.result()


def _dataset_node(row: RowMapping) -> GraphNode:
    return GraphNode(id=row["id"], kind="dataset", name=f"{row['prefix']}/{row['name']}")


def _version_node(row: RowMapping) -> GraphNode:
    return GraphNode(
        id=row["id"],
        kind="version",
        name=full_name(row),
        state=row["state"],
        digest=row["content_digest"],
        records=row["counts"]["records"],
        created_at=row["created_at"],
        merged=row["recipe"] is not None,
    )


def _job_node(row: RowMapping) -> GraphNode:
    return GraphNode(
        id=row["id"],
        kind="job",
        name=row["name"],
        state=row["state"],
        created_at=row["created_at"],
    )


def _adapter_node(row: RowMapping) -> GraphNode:
    return GraphNode(
        id=row["id"],
        kind="adapter",
        name=f"{row['prefix']}/{row['name']}@{row['number']}",
        state=row["state"],
        digest=row["weight_digest"],
        created_at=row["created_at"],
    )
