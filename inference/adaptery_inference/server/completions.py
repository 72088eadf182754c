"""The routes that generate: chat completions and completions, whole or streamed.

A caller who goes away frees the rows at once. An error before the first byte is a status; later it
is an event in the stream. Of ``best_of`` answers, those that the model found likeliest per token
are shown; a stream of them begins when all are made.
"""

import asyncio
import json
from collections.abc import Sequence

from tornado.iostream import StreamClosedError

from adaptery.errors import AdapteryError, InternalError
from adaptery.examples import OWN_TEMPLATE
from adaptery_inference.engine.adapters import Adapter
from adaptery_inference.engine.engine import Output
from adaptery_inference.engine.sampling import SamplingParams
from adaptery_inference.errors import BadRequestError
from adaptery_inference.server.answers import Answer, Shape, usage_of
from adaptery_inference.server.forms import Form, answer_grammar, form_of
from adaptery_inference.server.generation import Generation
from adaptery_inference.server.handlers import Handler
from adaptery_inference.server.loopback import log
from adaptery_inference.server.requests import (
    ChatGeneration,
    CompletionGeneration,
    parse,
    sampling_of,
)

#: Between signs of life while the best answers are not known yet; agents wait some minutes.
SIGN_SECONDS = 10.0
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

    async def prompts(
        self,
        request: ChatGeneration | CompletionGeneration,
        tokens: Sequence[list[int]],
        form: Form,
        made: int,
    ) -> _Prompts:
        """Each prompt with how its answers are sampled."""
        grammar = await self.engine.grammar(form.grammar) if form.grammar else None
        params = [
            sampling_of(
                request,
                number,
                vocabulary=self.engine.tokenizer.size,
                grammar=grammar,
                ranked=made > request.n,
            )
            for number in range(len(tokens) * made)
        ]
        return [(each, params[i * made : (i + 1) * made]) for i, each in enumerate(tokens)]

    async def generate(
        self,
        request: ChatGeneration | CompletionGeneration,
        adapter: Adapter | None,
        prompts: _Prompts,
        form: Form,
    ) -> None:
        """Run the prompts and answer."""
        shape = Shape(
            chat=isinstance(request, ChatGeneration),
            model=request.model or self.engine.base_name,
            top_logprobs=request.top_logprobs_limit(),
            token_ids=bool(request.return_token_ids),
            bytes_of=self.engine.token_bytes,
        )
        async with self.engine.generation(prompts, adapter) as generation:
            self._generation = generation
            if self._gone:
                return
            made = len(prompts[0][1])
            answers = [
                Answer(
                    form.reader(),
                    None if shape.top_logprobs is None else shape.bytes_of,
                    keeps=made > request.n or not request.stream,
                )
                for _ in range(generation.size)
            ]
            run = _Run(generation, answers, shape, made, request.n)
            if request.stream:
                await self._answer_stream(run, with_usage=request.wants_usage())
            else:
                await self._answer_whole(run)

    async def _answer_whole(self, run: "_Run") -> None:
        await run.finish()
        if not self._gone:
            self.answer(run.shape.whole(run.best(), run.usage()))

    async def _answer_stream(self, run: "_Run", *, with_usage: bool) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        try:
            await self._stream(run, with_usage=with_usage)
        except StreamClosedError:
            return  # on_connection_close has freed the rows
        except AdapteryError as error:
            self._end_with_error(error)
        except Exception:
            log.exception("a stream failed")
            self._end_with_error(InternalError())

    async def _stream(self, run: "_Run", *, with_usage: bool) -> None:
        shape = run.shape
        for number in range(run.shown):
            self._event(shape.first(number))
        await self.flush()
        if run.is_choice:
            await self._stream_best(run)
        else:
            async for batch in run.generation.batches():
                for number, output in batch:
                    self._event(shape.delta(number, run.answers[number].extend(output)))
                await self.flush()
        if with_usage:
            self._event(shape.usage(run.usage()))
        self.write("data: [DONE]\n\n")
        await self.finish()

    async def _stream_best(self, run: "_Run") -> None:
        """Make all answers, then stream the best; a comment now and then says that it goes on."""
        clock = asyncio.get_running_loop().time
        told_at = clock()
        async for batch in run.generation.batches():
            run.extend(batch)
            if clock() - told_at > SIGN_SECONDS:
                told_at = clock()
                self.write(": still choosing\n\n")
                await self.flush()
        for number, answer in enumerate(run.best()):
            for delta in answer.deltas:
                self._event(run.shape.delta(number, delta))
            await self.flush()

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
        form = form_of(request)
        messages, tools = request.conversation(), [tool.to_dict() for tool in form.tools]
        adapter = await self.engine.adapter(request.model)
        template = OWN_TEMPLATE if adapter is None else adapter.template
        # A long conversation takes a while to tokenise; other callers' streams go on meanwhile.
        encode = self.engine.tokenizer.encode_chat
        tokens = await asyncio.to_thread(encode, messages, tools, template)
        prompts = await self.prompts(request, [tokens], form, request.n)
        await self.generate(request, adapter, prompts, form)


class CompletionsHandler(GenerationHandler):
    """``POST /v1/completions``."""

    async def post(self) -> None:
        """Continue one or several prompts."""
        request = parse(CompletionGeneration, self.request.body)
        made, texts = request.made_each(), request.prompts()
        form = Form(grammar=answer_grammar(request.response_format))
        tokens = await asyncio.to_thread(lambda: [self._encode(text) for text in texts])
        adapter = await self.engine.adapter(request.model)
        prompts = await self.prompts(request, tokens, form, made)
        await self.generate(request, adapter, prompts, form)

    def _encode(self, prompt: str | list[int]) -> list[int]:
        if isinstance(prompt, str):
            return self.engine.tokenizer.encode(prompt)
        size = self.engine.tokenizer.size
        if any(not 0 <= token < size for token in prompt):
            raise BadRequestError.for_field("prompt", f"has a token outside 0 to {size - 1}.")
        return prompt


class _Run:
    """The answers to one request: those that are made, and those that are shown."""

    def __init__(
        self, generation: Generation, answers: Sequence[Answer], shape: Shape, made: int, n: int
    ) -> None:
        self.generation = generation
        self.answers = answers
        self.shape = shape
        self._made, self._n = made, n  # of each prompt

    @property
    def is_choice(self) -> bool:
        """Whether more answers are made than are shown."""
        return self._made > self._n

    @property
    def shown(self) -> int:
        """How many answers are shown."""
        return len(self.answers) // self._made * self._n

    def extend(self, batch: Sequence[tuple[int, Output]]) -> None:
        """Add what has been made."""
        for number, output in batch:
            self.answers[number].extend(output)

    async def finish(self) -> None:
        """Make all answers."""
        async for batch in self.generation.batches():
            self.extend(batch)

    def best(self) -> list[Answer]:
        """The answers that are shown: of each prompt, the likeliest ones first."""
        if not self.is_choice:
            return list(self.answers)
        best: list[Answer] = []
        for start in range(0, len(self.answers), self._made):
            made = self.answers[start : start + self._made]
            best += sorted(made, key=lambda answer: answer.mean_logprob, reverse=True)[: self._n]
        return best

    def usage(self) -> dict[str, int]:
        """Counts of tokens, those of answers that are not shown too."""
        return usage_of(self.answers, self.generation.prompt_tokens)
