"""Notebooks that run in a real kernel of this environment, and the messages of their widgets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from support.waiting import eventually


class RunningNotebook(NotebookClient):
    """A notebook whose cells are run one by one."""

    def __init__(self, notebook: NotebookNode) -> None:
        super().__init__(notebook, timeout=60)
        #: The class of a widget -> its comm.
        self.comms: dict[str, str] = {}

    async def run(self, code: str, *, fails: bool = False) -> list[NotebookNode]:
        """Run one more cell and return its outputs; a cell that `fails` must do so."""
        cell = new_code_cell(code)
        if fails:
            cell.metadata["tags"] = ["raises-exception"]
        self.nb.cells.append(cell)
        await self.async_execute_cell(cell, len(self.nb.cells) - 1)
        return cell.outputs

    def handle_comm_msg(self, outs: Any, msg: dict[str, Any], cell_index: int) -> None:
        data = msg["content"].get("data", {})
        if name := data.get("state", {}).get("_anywidget_id"):
            self.comms[name.rpartition(".")[2]] = msg["content"]["comm_id"]
        super().handle_comm_msg(outs, msg, cell_index)

    def saved(self) -> str:
        """Return the notebook as it is saved with the state of its widgets."""
        self.set_widgets_metadata()
        return nbformat.writes(self.nb)

    async def interrupt(self) -> None:
        """Press the button that stops the cell."""
        assert self.km is not None
        await asyncio.wait_for(self.km.interrupt_kernel(), 10)


class Page:
    """The views of a notebook's widgets: says what they say, hears what they hear."""

    def __init__(self, notebook: RunningNotebook) -> None:
        assert notebook.km is not None
        self._comms = notebook.comms
        self._client = notebook.km.client()
        self.heard: list[dict[str, Any]] = []

    def say(self, widget: str, **message: Any) -> None:
        """Send a message to a widget."""
        data = {"method": "custom", "content": message}
        content = {"comm_id": self._comms[widget], "data": data}
        self._client.shell_channel.send(self._client.session.msg("comm_msg", content))

    async def answer(self, ask: str) -> Any:
        """Return the first event or the error that answers a question."""

        def first() -> Any:
            found = (m for m in self.heard if m["id"] == ask and m["kind"] in ("event", "error"))
            return next(found, None)

        return (await eventually(first))["value"]

    async def _hear(self) -> None:
        while True:
            message = await self._client.get_iopub_msg()
            data = message["content"].get("data", {})
            if message["msg_type"] == "comm_msg" and data.get("method") == "custom":
                self.heard.append(data["content"])


@asynccontextmanager
async def page_of(notebook: RunningNotebook) -> AsyncIterator[Page]:
    """Look at a notebook."""
    page = Page(notebook)
    page._client.start_channels()
    try:
        await page._client.wait_for_ready(timeout=30)  # it listens itself, and must be alone in it
        hearing = asyncio.create_task(page._hear())
        try:
            yield page
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
    finally:
        page._client.stop_channels()


@asynccontextmanager
async def running_notebook(env: dict[str, str]) -> AsyncIterator[RunningNotebook]:
    """Start a kernel with these variables."""
    notebook = RunningNotebook(new_notebook())
    async with notebook.async_setup_kernel(env=env):
        yield notebook


def text_of(outputs: Sequence[NotebookNode]) -> str:
    """Return what the outputs say as plain text."""
    return "".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


__all__ = ["Page", "RunningNotebook", "page_of", "running_notebook", "text_of"]
