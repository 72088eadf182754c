"""`lorax/`: inference as LoRAX has it, for `lorax-client` and programs written for it.

The adapter is found by the same rules as OpenAI's `model`, with the same rights; everything behind
the shape is the same too. LoRAX's other routes (embedding, classifying, tokenising, metrics) are
not there.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from adaptery.errors import AdapteryError, InvalidInputError, NotFoundError, UnavailableError
from adaptery.lorax_shapes import LoraxStream, lorax_answer
from adaptery.schemas.lorax import LoraxRequest
from adaptery.schemas.openai import CHOICES_LIMIT, STOP_LIMIT
from adaptery_hub.gateway import OpenAnswer, Target
from adaptery_hub.gateway.rebuild import MAX_TOKENS_LIMIT
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.completions import CompletionsHandler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.sse import SSE_MEDIA, Event
from adaptery_hub.routes import Operation, Route


class LoraxHandler(Handler):
    """Base of the `lorax/` routes: the same rules, errors in LoRAX's shape."""

    error_media = "application/json"
    invalid_status = 422

    def render_error(self, error: AdapteryError) -> None:
        """See `Handler.render_error`."""
        self.set_header("Content-Type", self.error_media)
        self.finish(json.dumps(describe(error), ensure_ascii=False))


class LoraxNotFoundHandler(LoraxHandler):
    """Answers unknown paths under `lorax/`."""

    async def admit(self) -> None:
        """Refuse.

        Raises:
            NotFoundError: always.
        """
        raise NotFoundError(
            "This part of LoRAX is not offered here.",
            hint="there are lorax/, lorax/generate, lorax/generate_stream, lorax/info and "
            "lorax/health",
        )


class GenerateHandler(LoraxHandler, CompletionsHandler):
    """A plain answer, whatever the request says of streams."""

    last_event = None
    asked: LoraxRequest

    async def post(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Answer a prompt."""
        self.asked = self.body(LoraxRequest)
        await self.serve(self.asked.completion(stream=self.is_streamed()))

    def is_streamed(self) -> bool:
        """Whether the answer is streamed."""
        return False

    async def send_whole(self, answer: OpenAnswer) -> None:
        """Answer plainly."""
        self.answer_json(lorax_answer(self.asked, await answer.all_deltas(), answer.usage))

    async def events(self, answer: OpenAnswer) -> AsyncGenerator[Event, None]:
        """Yield an event for each token; the last one comes with the whole."""
        stream = LoraxStream(self.asked)
        async with aclosing(answer.deltas()) as deltas:
            async for some in deltas:
                for event in stream.feed(some):
                    yield event
        yield stream.end(answer.usage)

    def error_event(self, error: AdapteryError) -> Mapping[str, object]:
        """Return what is sent where a streamed answer breaks off."""
        return describe(error)


class GenerateStreamHandler(GenerateHandler):
    """A streamed answer, whatever the request says of it."""

    def is_streamed(self) -> bool:
        """Whether the answer is streamed."""
        return True


class CompatHandler(GenerateHandler):
    """What `lorax-client` posts to: a list of one answer, or a stream where it asks for one."""

    def is_streamed(self) -> bool:
        """Whether the answer is streamed."""
        return self.asked.stream

    async def send_whole(self, answer: OpenAnswer) -> None:
        """Answer plainly."""
        whole = lorax_answer(self.asked, await answer.all_deltas(), answer.usage)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps([whole], ensure_ascii=False))


class _DefaultModelHandler(LoraxHandler):
    async def target(self) -> Target:
        """Return what answers the caller without an `adapter_id`.

        Raises:
            NotFoundError: nothing does.
        """
        return await compute_of(self).gateway.resolver.resolve(self.identity, "")


class InfoHandler(_DefaultModelHandler):
    """What answers, and within which limits."""

    async def get(self) -> None:
        """Answer the base model behind an empty `adapter_id`."""
        target = await self.target()
        self.answer_json(
            {
                "model_id": target.base_model,
                "model_sha": target.base_weight_digest,
                "model_dtype": None,
                "model_device_type": None,
                "model_pipeline_tag": "text-generation",
                "max_best_of": CHOICES_LIMIT,
                "max_stop_sequences": STOP_LIMIT,
                "max_total_tokens": MAX_TOKENS_LIMIT,
                "version": importlib.metadata.version("adaptery"),
            }
        )


class LoraxHealthHandler(_DefaultModelHandler):
    """Whether a prompt would be answered now."""

    async def get(self) -> None:
        """Answer with an empty body.

        Raises:
            UnavailableError: no agent could answer.
        """
        if not compute_of(self).gateway.can_answer(await self.target()):
            raise UnavailableError("No agent that could answer is connected.")
        self.set_header("Content-Type", "text/plain")
        self.finish()


def describe(error: AdapteryError) -> dict[str, object]:
    """Returns an error in LoRAX's shape; its clients know these types and go by the status else."""
    if isinstance(error, InvalidInputError):
        kind = "validation"
    elif isinstance(error, UnavailableError):
        kind = "overloaded"
    else:
        kind = "generation" if error.status >= 500 else error.code
    return {"error": str(error), "error_type": kind}


def _post(summary: str, media: str = "application/json") -> dict[str, Operation]:
    return {"POST": Operation("infer", summary, request=LoraxRequest, media=media, keys=True)}


_COMPAT = {
    method: replace(operation, or_media=(SSE_MEDIA,))
    for method, operation in _post(
        "Complete a text as LoRAX does: a list of one answer, or a stream."
    ).items()
}

ROUTES = [
    Route("lorax", CompatHandler, _COMPAT),
    Route("lorax/", CompatHandler, _COMPAT),
    Route("lorax/generate", GenerateHandler, _post("Complete a text as LoRAX does, plain.")),
    Route(
        "lorax/generate_stream",
        GenerateStreamHandler,
        _post("The same as a stream: one event for each token.", SSE_MEDIA),
    ),
    Route(
        "lorax/info",
        InfoHandler,
        {"GET": Operation("infer", "The base model that answers me, and limits.", keys=True)},
    ),
    Route(
        "lorax/health",
        LoraxHealthHandler,
        {
            "GET": Operation(
                "infer", "Whether a prompt would be answered now.", media="text/plain", keys=True
            )
        },
    ),
]
