"""`%%chat` in a real kernel, against a service that answers by a script and may fall silent."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from nbclient.exceptions import CellExecutionError

from support.notebooks import RunningNotebook, running_notebook, text_of
from support.scripted_http import TOKEN, ScriptedHttp, Stream, scripted_http
from support.waiting import eventually

CHAT = "POST v1/chat/completions"
MODEL = "GET v1/models/@demo/soap"
#: Before a prompt is sent, the client asks which channel its model needs.
MODELS = {MODEL: {"id": "@demo/soap", "parent": "tiny"}, "GET v1/models/tiny": {"id": "tiny"}}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedHttp]:
    with scripted_http() as running:
        yield running


@pytest.fixture(autouse=True)
def service(server: ScriptedHttp) -> ScriptedHttp:
    """The service, which knows nothing of the test before."""
    server.script = {}
    server.asked.clear()
    return server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def notebook(server: ScriptedHttp) -> AsyncIterator[RunningNotebook]:
    env = os.environ | {"ADAPTERY_URL": server.url, "JUPYTERHUB_API_TOKEN": TOKEN}
    async with running_notebook(env) as running:
        await running.run("%load_ext adaptery")
        yield running


def chunk(text: str) -> dict[str, Any]:
    return {"model": "m", "choices": [{"delta": {"content": text}, "finish_reason": None}]}


def answering(heard: list[Any], *pieces: str) -> Any:
    def answer(body: Any) -> Stream:
        heard.append(body)
        return Stream(*[chunk(f"{body['model']} {piece}") for piece in pieces], "[DONE]")

    return answer


async def failed(notebook: RunningNotebook, code: str) -> str:
    """Run a cell that must fail, and return what it said."""
    with pytest.raises(CellExecutionError):
        await notebook.run(code)
    return text_of(notebook.nb.cells[-1].outputs)


async def test_an_answer_is_markdown_and_in_a_variable(
    notebook: RunningNotebook, service: ScriptedHttp
) -> None:
    heard: list[Any] = []
    service.script = {CHAT: answering(heard, "**Plan**: ", "<img src=x>"), **MODELS}
    line = '%%chat @demo/soap --max-tokens 9 --temperature 0.5 --system "Be brief." --into note'
    (said,) = await notebook.run(f"{line}\nWrite a note.\nPlease.")
    assert heard[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Write a note.\nPlease."},
    ]
    assert (heard[0]["model"], heard[0]["max_tokens"], heard[0]["temperature"]) == (
        "@demo/soap",
        9,
        0.5,
    )
    whole = "@demo/soap **Plan**: @demo/soap <img src=x>"
    assert said.data["text/markdown"] == whole.replace("<", "&#60;")
    assert said.data["text/plain"] == whole
    assert text_of(await notebook.run("print(_ == note, note)")) == f"True {whole}\n"


async def test_beside_asks_the_base_model_the_same(
    notebook: RunningNotebook, service: ScriptedHttp
) -> None:
    heard: list[Any] = []
    service.script = {CHAT: answering(heard, "said"), **MODELS}
    (said,) = await notebook.run("%%chat @demo/soap --beside\nHello")
    assert [body["model"] for body in heard] == ["@demo/soap", "tiny"]
    assert said.data["text/plain"] == "@demo/soap:\n@demo/soap said\n\ntiny:\ntiny said"
    assert text_of(await notebook.run("print(_)")) == "@demo/soap said\n"
    service.script[MODEL] = {"parent": None}
    assert "name an adapter" in await failed(notebook, "%%chat @demo/soap --beside\nHello")


@pytest.mark.parametrize(
    ("line", "cell", "words"),
    [
        ("@demo/soap --max-tokens many", "Hello", "invalid int value: 'many'"),
        ("@demo/soap --loud", "Hello", "%%chat [--max-tokens N]"),
        ('@demo/soap --system "open', "Hello", "A quotation mark has no partner"),
        ("@demo/soap --into 1a", "Hello", "--into takes the name of a variable"),
        ("@demo/soap", " ", "The cell is empty"),
        ("@demo/soap", "canary-2f7e", "There is no such thing"),
    ],
)
async def test_what_goes_wrong_is_said_without_a_traceback(
    notebook: RunningNotebook, line: str, cell: str, words: str
) -> None:
    said = await failed(notebook, f"%%chat {line}\n{cell}")
    assert words in said and "Traceback" not in said and "canary-2f7e" not in said


async def test_interrupting_the_kernel_ends_the_request(
    notebook: RunningNotebook, service: ScriptedHttp
) -> None:
    service.script = {CHAT: Stream(chunk("So far"), endless=True)}
    running = asyncio.create_task(failed(notebook, "%%chat\nTell a long story."))
    await eventually(lambda: service.asked)
    await eventually(lambda: "So far" in json.dumps(notebook.nb.cells[-1].outputs))
    await notebook.interrupt()
    said = await running
    assert "Stopped" in said and "Traceback" not in said
    assert await asyncio.to_thread(service.wait_until_left)
    assert text_of(await notebook.run("print(_)")) == "So far\n"
