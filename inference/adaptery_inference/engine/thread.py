"""The one thread that owns the engine.

Everything that touches the engine runs here, between two steps, so the engine needs no locks.
Callers on other threads post calls and get futures; outputs go to the listener of each sequence.
A second thread reads adapter files, so that reading never holds up a step.

Invariants:
* the engine is touched by no other thread once ``start`` was called;
* listeners are called on this thread and must return at once.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from adaptery.errors import AdapteryError, InternalError, UnavailableError
from adaptery_inference.engine.adapters import Adapter
from adaptery_inference.engine.engine import Engine, Output, Prompt, StepResult

W = TypeVar("W")
T = TypeVar("T")
Listener = Callable[[Output], None]
log = logging.getLogger(__name__)


class EngineThread(Generic[W]):
    """Runs the steps of an engine until it is stopped."""

    def __init__(self, engine: Engine[W], read_adapter: Callable[[Adapter], W]) -> None:
        self._engine = engine
        self._read_adapter = read_adapter
        self._calls: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._busy = False  # whether the next step may follow without a call
        self._listeners: dict[str, Listener] = {}
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="adapter-reader")
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to step."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what still runs is dropped. ``drain`` first to let it finish."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._reader.shutdown(wait=True, cancel_futures=True)

    def call(self, function: Callable[[Engine[W]], T]) -> "Future[T]":
        """Run ``function`` on the engine between two steps."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(self._engine))
                except BaseException as error:
                    future.set_exception(error)

        with self._wake:
            if self._stopping:
                raise UnavailableError("The engine is stopping.")
            self._calls.append(run)
            self._wake.notify()
        return future

    def submit(
        self, prompts: Sequence[Prompt], adapter: Adapter | None, listener: Listener
    ) -> "Future[None]":
        """Queue sequences; their outputs go to ``listener``."""

        def add(engine: Engine[W]) -> None:
            engine.add(prompts, adapter)
            for prompt in prompts:
                self._listeners.update(dict.fromkeys(prompt.rows, listener))

        return self.call(add)

    def cancel(self, sequence_ids: Iterable[str]) -> None:
        """Drop sequences whose caller has gone; safe at any time."""
        ids = list(sequence_ids)

        def drop(engine: Engine[W]) -> None:
            engine.cancel(ids)
            for sequence_id in ids:
                self._listeners.pop(sequence_id, None)

        try:
            self.call(drop)
        except UnavailableError:
            return  # the thread ends and drops everything anyway

    def drain(self) -> "Future[None]":
        """Refuse what waits; the future is done at once, ``load().running`` tells the rest."""
        return self.call(lambda engine: self._dispatch(engine.refuse_waiting()))

    def _run(self) -> None:
        while True:
            with self._wake:
                # Even a row that waits for its adapter needs no step before the reader calls.
                while not (self._calls or self._stopping or self._busy):
                    self._wake.wait()
                calls, self._calls = self._calls, deque()
                stopping = self._stopping
            for call in calls:
                call()  # also at the end: somebody may wait for its future
            if stopping:
                return
            self._step()

    def _step(self) -> None:
        try:
            result = self._engine.step(self._want)
        except Exception:
            log.exception("a step failed; its sequences end with an error")
            result = StepResult(self._engine.fail_running(), computed_tokens=1)
        self._busy = result.computed_tokens > 0 and self._engine.has_work
        self._dispatch(result.outputs)

    def _dispatch(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            listener = self._listeners.get(output.sequence_id)
            if output.is_last:
                self._listeners.pop(output.sequence_id, None)
            if listener is not None:
                listener(output)

    def _want(self, adapter: Adapter) -> None:
        self._reader.submit(self._read, adapter)

    def _read(self, adapter: Adapter) -> None:
        """On the reader's thread: read the weights, then hand them to the engine."""
        weights: W | None = None
        error: AdapteryError = InternalError()
        try:
            weights = self._read_adapter(adapter)
        except AdapteryError as known:
            error = known
        except Exception:
            log.exception("an adapter could not be read", extra={"digest": adapter.digest})
        try:
            if weights is None:
                self.call(lambda engine: self._dispatch(engine.fail_load(adapter, error)))
            else:
                loaded = weights
                self.call(lambda engine: engine.finish_load(adapter, loaded))
        except UnavailableError:
            log.info("an adapter was read too late; the engine is stopping")
