"""The Chat widget: talk to an adapter, or to an adapter and its base side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adaptery.client import Hub, connect
from adaptery.errors import NotFoundError
from adaptery_widgets._kernel_host import ViewWidget


class Chat(ViewWidget):
    """The Chat view in a notebook: `Chat()` on the last line of a cell shows it.

    Args:
        model: the model that is chosen at first, for example `@demo/soap`; if None, your newest
            adapter, else the default base model.
        hub: a connection; the one that this server knows if None.

    Raises:
        InvalidInputError: no Adaptery service is known here; the message says what to set.
        UnavailableError: the views were not built.
    """

    def __init__(self, model: str | None = None, hub: Hub | None = None) -> None:
        self._hub = hub or connect()
        self._start = model
        super().__init__("chat", {"models": self._models, "chat": self._chat})

    def _models(self, _args: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        adapters = [
            {"id": a.full_name, "title": f"{a.full_name} (adapter)", "base": a.base_model}
            for a in self._hub.adapters.list()
        ]
        bases = [
            {"id": base.name, "title": f"{base.name} (base model)", "base": None}
            for base in self._hub.base_models()
        ]
        models = [*adapters, *bases]
        yield {"models": models, "start": self._choose([str(model["id"]) for model in models])}

    def _choose(self, names: list[str]) -> str | None:
        """Return the model to begin with; a name without a version means its newest."""
        wanted = self._start
        if wanted is None:
            return None
        for name in names:
            if name == wanted or name.startswith(f"{wanted}@"):
                return name
        raise NotFoundError(
            f"There is no model {wanted!r} that you may use.",
            hint="`Chat()` shows all that there are.",
        )

    def _chat(self, args: Mapping[str, Any]) -> Iterator[dict[str, str | None]]:
        answer = self._hub.chat(
            str(args["model"]),
            args["messages"],
            max_tokens=int(args["max_tokens"]),
            temperature=float(args["temperature"]),
        )
        for piece in answer:
            yield {"text": piece}
        if answer.answer is not None:
            yield {"reason": answer.answer.finish_reason}
