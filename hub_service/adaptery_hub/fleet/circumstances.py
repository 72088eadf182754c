"""Where a job may run: agents of its queue that hold its base model, and what is known of that.

For: the check of a job's options, before it waits. Only what agents said of themselves and of the
base model counts; nothing here is a guess.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from adaptery.examples import TEMPLATE_NAMES
from adaptery.examples.chat_templates import named_template
from adaptery_hub.base_model_files import BaseModelFiles
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.preflight.memory import read_shape
from adaptery_hub.tasks import BaseFacts, Circumstances


class Surroundings:
    """Looks around for a job."""

    def __init__(
        self,
        views: Callable[[], Iterable[AgentView]],
        files: BaseModelFiles,
        serves: Callable[[str, str], bool],
    ) -> None:
        self._views = views
        self._serves = serves
        self._files = files
        self._facts: dict[Path, BaseFacts] = {}

    def of(self, weight_digest: str | None, queue: str) -> Circumstances:
        """Returns what is known of where a job of this queue on these base weights may run."""
        if weight_digest is None:
            return Circumstances()
        abilities = [
            view.beat.abilities
            for view in self._views()
            if view.state == "live"
            and view.holds(weight_digest)
            and self._serves(view.agent_id, queue)
        ]
        return Circumstances(abilities, self._base_facts(weight_digest))

    def _base_facts(self, weight_digest: str) -> BaseFacts:
        folder = self._files.find(weight_digest)
        if folder is None:
            return BaseFacts()
        if folder not in self._facts:  # such a folder never changes
            self._facts[folder] = read_facts(folder)
        return self._facts[folder]


def read_facts(folder: Path) -> BaseFacts:
    """Returns what the folder that describes a base model says; it is small, and not parsed far."""
    shape = read_shape(folder)
    config = folder / "tokenizer_config.json"
    has_template = (folder / "chat_template.jinja").exists() or (
        config.exists() and b'"chat_template"' in config.read_bytes()
    )
    context = shape.context_tokens if shape else None
    return BaseFacts(context, has_template, _unfit_templates(folder))


def _unfit_templates(folder: Path) -> frozenset[str]:
    """Returns the templates that name a token which nothing in the tokenizer's files does."""
    files = [folder / name for name in ("tokenizer.json", "tokenizer_config.json")]
    if not files[0].exists():
        return frozenset()
    said = b"".join(path.read_bytes() for path in files if path.exists())
    needed = {name: named_template(name).needed_tokens for name in TEMPLATE_NAMES}
    return frozenset(
        name
        for name, tokens in needed.items()
        if any(json.dumps(token).encode() not in said for token in tokens)
    )
