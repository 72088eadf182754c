"""Between handlers (asyncio) and the engine (its thread): submit, follow, cancel.

Invariants:
* a generation that is closed leaves no row in the engine, also when it is closed while it is
  being submitted;
* outputs arrive in the order in which the engine made them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType

from adaptery.errors import EngineBusyError, InvalidInputError, NotFoundError
from adaptery.ids import new_id
from adaptery_inference.adapter_weights import AdapterReader
from adaptery_inference.build import BuiltEngine
from adaptery_inference.engine.adapters import Adapter
from adaptery_inference.engine.engine import EngineLoad, Output, Prompt
from adaptery_inference.engine.grammars import Grammar, GrammarSource
from adaptery_inference.engine.sampling import SamplingParams
from adaptery_inference.engine.thread import EngineThread
from adaptery_inference.layers.lora import AdapterWeights


class Generation:
    """The answers to one request, while they are made. An async context manager."""

    def __init__(
        self,
        thread: EngineThread[AdapterWeights],
        prompts: Sequence[Prompt],
        adapter: Adapter | None,
    ) -> None:
        self._thread = thread
        self._prompts = prompts
        self._adapter = adapter
        self._numbers = {
            row: number for number, row in enumerate(row for p in prompts for row in p.rows)
        }
        self._outputs: asyncio.Queue[Output | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._closed = False

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(len(prompt.tokens) for prompt in self._prompts)

    @property
    def size(self) -> int:
        """How many answers there will be."""
        return len(self._numbers)

    async def __aenter__(self) -> "Generation":
        try:
            future = self._thread.submit(self._prompts, self._adapter, self._listen)
            await asyncio.wrap_future(future)
        except BaseException:
            self.close()  # it may have been submitted all the same
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the rows. The iteration ends; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._outputs.put_nowait(None)
            self._thread.cancel(self._numbers)

    async def batches(self) -> AsyncIterator[list[tuple[int, Output]]]:
        """What has come since last time, with the number of the answer it belongs to.

        Raises:
            AdapteryError: the engine cannot finish an answer.
        """
        unfinished = self.size
        while unfinished and not self._closed:
            batch = [await self._outputs.get()]
            while not self._outputs.empty():
                batch.append(self._outputs.get_nowait())
            outputs = [output for output in batch if output is not None]
            for output in outputs:
                if output.error is not None:
                    raise output.error
            unfinished -= sum(output.is_last for output in outputs)
            yield [(self._numbers[output.sequence_id], output) for output in outputs]

    def _listen(self, output: Output) -> None:
        """On the engine's thread."""
        self._loop.call_soon_threadsafe(self._outputs.put_nowait, output)


class EngineService:
    """What the handlers call."""

    def __init__(self, built: BuiltEngine) -> None:
        self._thread = EngineThread(built.engine, built.reader.read)
        self._reader: AdapterReader = built.reader
        self._loading = asyncio.Lock()  # one at a time: each holds a whole adapter in memory
        self._compiling = asyncio.Lock()  # one at a time: others' streams need the other cores
        self._grammars = built.grammars
        self.tokenizer = built.tokenizer
        self.token_bytes = built.token_bytes
        self.base_name = built.base_model.name
        self.draining = False

    def start(self) -> None:
        """Begin to compute."""
        self._thread.start()

    def stop(self) -> None:
        """Stop computing; what still runs is dropped."""
        self._thread.stop()

    async def drain(self) -> None:
        """Refuse what waits and what comes; what runs goes on."""
        self.draining = True
        await asyncio.wrap_future(self._thread.drain())

    async def adapter(self, model: str) -> Adapter | None:
        """The adapter that ``model`` names now; None for the base model.

        Raises:
            NotFoundError: no such model.
        """
        if model in ("", self.base_name):
            return None
        adapter = await asyncio.wrap_future(
            self._thread.call(lambda engine: engine.adapters.find(model))
        )
        if adapter is None:
            raise NotFoundError("The engine serves no model of this name.")
        return adapter

    async def adapters(self) -> dict[str, Adapter]:
        """All loaded adapters by name."""
        return await asyncio.wrap_future(
            self._thread.call(lambda engine: engine.adapters.registered())
        )

    async def load_adapter(self, name: str, folder: Path) -> Adapter:
        """Validate an adapter folder and serve it under ``name``.

        Raises:
            AdapteryError: the adapter is refused, with the reason.
        """
        if not folder.is_absolute() or not folder.is_dir():
            raise NotFoundError("lora_path is not the absolute path of a folder on this machine.")
        async with self._loading:
            adapter, weights = await asyncio.to_thread(self._reader.open, folder)
            if not self.tokenizer.takes(adapter.template):
                raise InvalidInputError(
                    "The adapter was trained with a chat template that does not fit this engine.",
                    hint="update the engine, or train it again with another template",
                )
            await asyncio.wrap_future(
                self._thread.call(lambda engine: engine.register(name, adapter, weights))
            )
        return adapter

    async def unload_adapter(self, name: str) -> None:
        """Stop serving ``name``; rows that run finish.

        Raises:
            NotFoundError: no adapter has this name.
        """
        await asyncio.wrap_future(self._thread.call(lambda engine: engine.unregister(name)))

    async def load(self) -> EngineLoad:
        """How busy the engine is."""
        return await asyncio.wrap_future(self._thread.call(lambda engine: engine.load()))

    async def grammar(self, source: GrammarSource) -> Grammar:
        """The compiled grammar; compiled on a thread of its own.

        Raises:
            BadRequestError: it cannot be followed, with the reason.
        """
        async with self._compiling:
            return await asyncio.to_thread(self._grammars.compile, source)

    def generation(
        self, prompts: Sequence[tuple[list[int], Sequence[SamplingParams]]], adapter: Adapter | None
    ) -> Generation:
        """A generation to enter.

        Raises:
            EngineBusyError: the engine is stopping.
        """
        if self.draining:
            raise EngineBusyError("The engine is stopping.")
        rows = [
            Prompt(tokens, {new_id("rq"): params for params in answers})
            for tokens, answers in prompts
        ]
        return Generation(self._thread, rows, adapter)
