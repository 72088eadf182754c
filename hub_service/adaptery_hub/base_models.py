"""The registered base models: their names, and the weights that each name is bound to.

Names and sources are the administrator's settings. Which weights stand behind a name is bound once,
by a pin in the settings or by the first agent that reports the name, and is audited; from then on
an agent with other weights under the same name gets no work for it.

Invariants:
- A binding changes only through a pin in the settings.
- Nothing here opens a file or a connection: where a base model comes from is the agents' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy.engine import Connection, RowMapping

from adaptery.schemas.adapters import BaseModelCard
from adaptery.times import Clock, now
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database import Database
from adaptery_hub.database.statements import base_models as statements
from adaptery_hub.fleet.live import BaseModelReport

#: What is shown of a source that is a path on some host: that it is one.
LOCAL_SOURCE = "local"


class BaseModels:
    """What base models there are."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        sources: Mapping[str, str],
        default: str,
        pins: Mapping[str, str],
        clock: Clock = now,
    ) -> None:
        self.default = default
        self._database = database
        self._audit = audit
        self._sources = dict(sources)
        #: Of all registered base models.
        self.names = frozenset(sources)
        self._pins = dict(pins)
        self._clock = clock
        self._started_at = clock()
        self._digests: dict[str, str] = {}

    def digest(self, name: str) -> str | None:
        """Returns the weight digest that a name is bound to; None while it is not bound."""
        return self._digests.get(name)

    async def start(self) -> None:
        """Applies the pins and reads the bindings."""
        await self._database.write(self._apply_pins)
        rows = await self._database.read(statements.bindings)
        self._digests = {name: row["weight_digest"] for name, row in _first_rows(rows).items()}

    async def observe(self, reports: Iterable[BaseModelReport]) -> bool:
        """Binds names that an agent is the first to report; returns whether it bound any."""
        new = {
            report.name: report.weight_digest
            for report in reports
            if report.name in self._sources and report.name not in self._digests
        }
        for name, digest in new.items():
            self._digests[name] = await self._database.write(
                lambda c, name=name, digest=digest: self._bind_first(c, name, digest)
            )
        return bool(new)

    async def cards(self) -> list[BaseModelCard]:
        """Returns all registered base models as the API shows them."""
        rows = _first_rows(await self._database.read(statements.bindings))
        return [self._card(name, rows.get(name)) for name in self._sources]

    def created_at(self) -> datetime:
        """When this process learnt of the registered names."""
        return self._started_at

    def _card(self, name: str, row: RowMapping | None) -> BaseModelCard:
        source = self._sources[name]
        return BaseModelCard(
            id=row["id"] if row is not None else name,
            name=name,
            source=source if source.startswith("hf:") else LOCAL_SOURCE,
            weight_digest=row["weight_digest"] if row is not None else None,
            default=name == self.default,
            created_at=row["created_at"] if row is not None else self._started_at,
        )

    def _apply_pins(self, connection: Connection) -> None:
        for name, digest in self._pins.items():
            if statements.bound_digest(connection, name) != digest:
                statements.unbind(connection, name)
                self._bind(connection, name, digest, "pin")

    def _bind_first(self, connection: Connection, name: str, digest: str) -> str:
        bound = statements.bound_digest(connection, name)
        if bound is not None:
            return bound
        self._bind(connection, name, digest, "first report")
        return digest

    def _bind(self, connection: Connection, name: str, digest: str, why: str) -> None:
        statements.bind(connection, name, digest, self._sources.get(name, ""), self._clock())
        details = {"base_model": name, "weight_digest": digest, "why": why}
        self._audit.append(connection, AuditEntry("base_model.bind", details=details))


def _first_rows(rows: Iterable[RowMapping]) -> dict[str, RowMapping]:
    first: dict[str, RowMapping] = {}
    for row in rows:
        first.setdefault(row["name"], row)
    return first
