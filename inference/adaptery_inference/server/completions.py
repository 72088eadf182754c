"""The routes that generate: chat completions and completions, whole or streamed.

A caller who goes away frees the rows at once. An error before the first byte is a status; later it
is an event in the stream.
"""

import asyncio
import json
from collections.abc import Sequence

from tornado.iostream import StreamClosedError

from adaptery.errors import AdapteryError, InternalError
from adaptery_inference.engine.engine import Output
from adaptery_inference.engine.sampling import SamplingParams
from adaptery_inference.errors import BadRequestError
from adaptery_inference.server.answers import Answer, Shape
from adaptery_inference.server.generation import Generation
from adaptery_inference.server.handlers import Handler, log
from adaptery_inference.server.requests import (
    MAX_ANSWERS,
    ChatGeneration,
    CompletionGeneration,
    parse,
)

_Prompts = Sequence[tuple[list[int], Sequence[SamplingParams]]]


class GenerationHandler(Handler):
    """What both routes share."""

    _generation: Generation | None = None
    _gone = False

    def on_connection_close(self) -> None:
        """The caller went away."""
        self._gone = True
        if self._generation is not None:
            self._generation.close()

    async def generate(
        self, request: ChatGeneration | CompletionGeneration, prompts: _Prompts
    ) -> None:
        """Run the prompts and answer."""
        adapter = await self.engine.adapter(request.model)
        shape = Shape(
            chat=isinstance(request, ChatGeneration), model=request.model or self.engine.base_name
        )
        async with self.engine.generation(prompts, adapter) as generation:
            self._generation = generation
            if self._gone:
                return
            if request.stream:
                await self._answer_stream(generation, shape, with_usage=request.wants_usage)
            else:
                await self._answer_whole(generation, shape)

    async def _answer_whole(self, generation: Generation, shape: Shape) -> None:
        answers = [Answer() for _ in range(generation.size)]
        async for batch in generation.batches():
            for number, output in batch:
                _extend(answers[number], output)
        if not self._gone:
            self.answer(shape.whole(answers, generation.prompt_tokens))

    async def _answer_stream(
        self, generation: Generation, shape: Shape, *, with_usage: bool
    ) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        try:
            await self._stream(generation, shape, with_usage=with_usage)
        except StreamClosedError:
            return  # on_connection_close has freed the rows
        except AdapteryError as error:
            self._end_with_error(error)
        except Exception:
            log.exception("a stream failed")
            self._end_with_error(InternalError())

    async def _stream(self, generation: Generation, shape: Shape, *, with_usage: bool) -> None:
        answers = [Answer() for _ in range(generation.size)]
        for number in range(generation.size):
            self._event(shape.first(number))
        await self.flush()
        async for batch in generation.batches():
            for number, output in batch:
                _extend(answers[number], output)
                if output.text:
                    self._event(shape.delta(number, output.text, None))
                if output.is_last:
                    self._event(shape.delta(number, "", output.finish_reason))
            await self.flush()
        if with_usage:
            self._event(shape.usage(answers, generation.prompt_tokens))
        self.write("data: [DONE]\n\n")
        await self.finish()

    def _end_with_error(self, error: AdapteryError) -> None:
        if not self._headers_written:
            raise error
        content = error.to_openai()["error"]
        assert isinstance(content, dict)
        # The status line is gone; the status goes with the event, for the agent.
        self._event({"error": {**content, "status": error.status}})
        self.finish()

    def _event(self, body: dict[str, object] | None) -> None:
        if body is not None:
            self.write(f"data: {json.dumps(body)}\n\n")


class ChatCompletionsHandler(GenerationHandler):
    """``POST /v1/chat/completions``."""

    async def post(self) -> None:
        """Answer a conversation."""
        request = parse(ChatGeneration, self.request.body)
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        # A long conversation takes a while to tokenise; other callers' streams go on meanwhile.
        tokens = await asyncio.to_thread(self.engine.tokenizer.encode_chat, messages)
        params = [request.sampling(number) for number in range(request.n)]
        await self.generate(request, [(tokens, params)])


class CompletionsHandler(GenerationHandler):
    """``POST /v1/completions``."""

    async def post(self) -> None:
        """Continue one or several prompts."""
        request = parse(CompletionGeneration, self.request.body)
        prompts = request.prompts()
        if len(prompts) * request.n > MAX_ANSWERS:
            raise BadRequestError.for_field(
                "prompt", f"asks for more than {MAX_ANSWERS} answers.", "Send fewer at a time."
            )
        tokens = await asyncio.to_thread(lambda: [self._encode(prompt) for prompt in prompts])
        await self.generate(
            request,
            [
                (each, [request.sampling(i * request.n + k) for k in range(request.n)])
                for i, each in enumerate(tokens)
            ],
        )

    def _encode(self, prompt: str | list[int]) -> list[int]:
        if isinstance(prompt, str):
            return self.engine.tokenizer.encode(prompt)
        size = self.engine.tokenizer.size
        if any(not 0 <= token < size for token in prompt):
            raise BadRequestError.for_field("prompt", f"has a token outside 0 to {size - 1}.")
        return prompt


def _extend(answer: Answer, output: Output) -> None:
    answer.text += output.text
    answer.tokens += output.tokens
    answer.finish_reason = output.finish_reason or answer.finish_reason
