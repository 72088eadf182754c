"""Small real programs in the place of the one that speaks with ClearML."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adaptery_hub import compute
from adaptery_hub.audit import AuditLog
from adaptery_hub.clearml.links import ClearmlLinks, LinkRules, Waits
from adaptery_hub.clearml.program import RegisterProgram
from adaptery_hub.objects import FilesystemStore
from adaptery_hub.services import Services

CHILDREN = Path(__file__).parents[1] / "unit" / "hub_clearml" / "children"
#: A child has time to start on a busy machine.
DEADLINE_SECONDS = 60.0


class Child:
    """A child that answers what it is told to, and what it was given."""

    def __init__(
        self, folder: Path, name: str = "answers.py", deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self.answers = folder / "answers"
        self.answers.mkdir(parents=True)
        self.children = folder / "children"
        self.program = RegisterProgram(
            sys.executable,
            self.children,
            {"api": {"credentials": {"secret_key": "the-secret"}}},
            deadline_seconds,
            CHILDREN / name,
        )
        self.answer({"dataset": "0123abc"})

    def answer(self, answer: object) -> None:
        """Let the next children say this."""
        new = self.answers / "new.json"
        new.write_text(answer if isinstance(answer, str) else json.dumps(answer))
        new.replace(self.answers / "answer.json")

    @property
    def seen(self) -> list[Any]:
        """Return what each child was given."""
        path = self.answers / "seen.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def orders(self) -> list[Any]:
        """Return what each child was asked for."""
        return [one["order"] for one in self.seen]


#: As short as they may be; a test waits for what comes, never for a time.
WAITS = Waits(look=0.05, first=0.1, last=0.2)


def told_by(
    child: Child,
    sensitivities: Sequence[str] = ("open", "internal"),
    *,
    shares_files: bool = True,
    waits: Waits = WAITS,
) -> Callable[[Services], None]:
    """Return what lets a service tell ClearML by a child."""

    def change(services: Services) -> None:
        assert isinstance(services.objects, FilesystemStore)
        services.clearml = ClearmlLinks(
            services.db,
            services.objects,
            child.program,
            AuditLog(compute.AUDIT_WRITER),
            services.metrics,
            LinkRules("Adaptery", tuple(sensitivities), shares_files, DEADLINE_SECONDS),
            waits=waits,
        )

    return change
