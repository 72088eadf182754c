"""The persona that answers in Jupyter AI's chat, with the user's adapters and nothing to configure.

Jupyter AI finds it by its entry point; only there is this module imported. It asks with the Python
client and the server's own token, so an adapter answers here exactly when it would in a notebook,
restricted ones included.

Invariants:
- The models on offer are those that the service lists for the owner of this server, newest first;
  without a choice, the newest own adapter answers, or the default base model if there is none.
- Nothing of a message or an answer is logged.
- Whoever may write into a chat of this server asks as the server's owner, as with every other
  program that runs in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

from jupyter_ai_persona_manager import (  # pyright: ignore[reportMissingImports]
    BasePersona,
    ModelConfiguration,
    ModelOption,
    PersonaDefaults,
    PersonaRequirementsUnmet,
)

from adaptery import connect
from adaptery.errors import AdapteryError
from adaptery.schemas.adapters import Adapter
from adaptery_jupyter.chat_history import request_messages

try:
    _HUB = connect()
except AdapteryError as error:  # Jupyter AI leaves out a persona that raises this
    raise PersonaRequirementsUnmet(str(error)) from error

#: Of the chat itself, not of a person.
_SYSTEM = frozenset({"hidden::jupyter_ai_system"})
_END = object()


class AdapteryPersona(BasePersona):  # pyright: ignore[reportUntypedBaseClass]
    """Answers with adapters and base models."""

    _stopped = False

    @property
    def defaults(self) -> Any:
        """Name and picture."""
        return PersonaDefaults(
            name="Adaptery",
            description="Answers with your adapters and the base models of this Hub.",
            avatar_path=str(Path(__file__).with_name("persona.svg")),
            system_prompt="",
        )

    async def prepare(self) -> None:
        """Offer the models; told again with each message, for new adapters come."""
        await self._offer_models()

    async def process_message(self, message: Any) -> None:
        """Answer a message in the chat, piece by piece."""
        await self._offer_models()
        others = _SYSTEM | {id for id in self.parent.personas if id != self.id}
        messages = request_messages(self.chat.get_messages(), message, self.id, others)
        self._stopped = False
        answer = _HUB.chat(self.get_model() or "", messages)
        await self.stream_message(self._pieces(iter(answer)))

    async def cancel_response(self) -> None:
        """Stop after the next piece."""
        self._stopped = True

    async def _pieces(self, answer: Generator[str]) -> AsyncGenerator[str, None]:
        """Yield what arrives; leaving it, for whatever reason, ends the request."""
        try:
            while not self._stopped:
                piece = await asyncio.to_thread(next, answer, _END)
                if piece is _END:
                    return
                yield str(piece)
        except AdapteryError as error:
            yield _told(error)  # raised, it would be a traceback in the log and no word in the chat
        finally:
            await asyncio.to_thread(answer.close)

    async def _offer_models(self) -> None:
        try:
            adapters = list(await asyncio.to_thread(_HUB.adapters.list))
            models = await asyncio.to_thread(_HUB.models)
        except AdapteryError:
            self.log.warning("Adaptery did not tell its models; the last ones stay on offer.")
            return
        own = [a.full_name for a in adapters if a.right == "manage"]
        names = [*own, *(name for name in models if name not in own)]
        about = {adapter.full_name: _about(adapter) for adapter in adapters}
        options = [ModelOption(id=name, name=name, description=about.get(name)) for name in names]
        chosen = self.get_model()
        current = chosen if chosen in names else next(iter(own), None)
        self.report_model_configuration(ModelConfiguration(current=current, options=options))


def _about(adapter: Adapter) -> str:
    return f"adapter of {adapter.base_model}, {adapter.sensitivity}"


def _told(error: AdapteryError) -> str:
    return f"\n\n*{error} {error.hint or ''}*"
