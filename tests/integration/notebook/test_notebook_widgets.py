"""The widgets in a notebook with a real kernel and the real service: nothing of theirs is saved."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.notebooks import RunningNotebook, page_of, running_notebook, text_of
from support.service import Client, Service, alpaca, running_service

CANARY, PROMPT = "canary-record-4be1", "canary-prompt-90ac"
SHOWN = """
from adaptery_widgets import Chat, Curate, Jobs, Train, Watch
shown = [Curate("visits"), Train("@demo/visits@1"), Jobs(), Chat("@demo/soap"), Watch("nothing")]
display(*shown)
"""
#: A saved notebook holds the module of each view that it shows.
SAVED_LIMIT_BYTES = 1_000_000


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state") as running:
        yield running


@pytest.fixture
def demo(service: Service) -> Client:
    return service.client("demo", token="token-of-demo")


@pytest.fixture
async def notebook(service: Service, demo: Client) -> AsyncIterator[RunningNotebook]:
    env = os.environ | {"ADAPTERY_URL": service.url, "JUPYTERHUB_API_TOKEN": "token-of-demo"}
    async with running_notebook(env) as running:
        yield running


async def test_what_widgets_ask_for_arrives_and_is_not_saved(
    notebook: RunningNotebook, demo: Client
) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(3, CANARY))
    version = (await demo.publish(dataset))["result"]["version"]["id"]
    await notebook.run(SHOWN)
    async with page_of(notebook) as page:
        for widget in ("Curate", "Train", "Jobs", "Chat", "Watch"):
            page.say(widget, id=widget, kind="ask", verb="view.start", args={})
        args = {"dataset": dataset}
        page.say("Curate", id="records", kind="ask", verb="records.list", args=args)
        asked = {"model": "@demo/soap", "messages": [{"role": "user", "content": PROMPT}]}
        page.say("Chat", id="asked", kind="ask", verb="chat", args=asked)
        page.say("Chat", id="module", kind="ask", verb="view.module", args={"view": "jobs"})
        page.say("Jobs", kind=PROMPT)
        assert await page.answer("Curate") == {"dataset": dataset}
        assert await page.answer("Train") == {"version": version}
        assert await page.answer("Jobs") == {}
        assert await page.answer("Chat") == {"model": "@demo/soap"}
        assert (await page.answer("Watch"))["code"] == "not_found"
        assert CANARY in json.dumps(await page.answer("records"))
        assert "code" in await page.answer("asked")
        assert "mount" in await page.answer("module")
    saved = notebook.saved()
    states = json.loads(saved)["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]
    assert len([s for s in states["state"].values() if "_esm" in s["state"]]) == 5
    assert CANARY not in saved and PROMPT not in saved
    assert len(saved.encode()) < SAVED_LIMIT_BYTES


async def test_what_the_client_returns_is_shown_as_tables_and_bars(
    notebook: RunningNotebook, demo: Client, tmp_path: Path
) -> None:
    (tmp_path / "visits.json").write_bytes(alpaca(3))
    await notebook.run("import adaptery; hub = adaptery.connect()")
    (made,) = await notebook.run(
        'visits = hub.datasets.create("visits", description="<b>"); visits'
    )
    assert "<caption" in made.data["text/html"] and "&lt;b&gt;" in made.data["text/html"]
    (bar,) = await notebook.run(f"_ = visits.upload({str(tmp_path / 'visits.json')!r})")
    assert "<progress" in bar.data["text/html"] and "100%" in bar.data["text/plain"]
    (bar, version) = await notebook.run("visits.publish()")
    assert "Publishing @demo/visits" in bar.data["text/plain"]
    assert "Version @demo/visits@1" in version.data["text/html"]
    (table,) = await notebook.run("hub.datasets.list()")
    assert "1 dataset" in table.data["text/html"] and "@demo/visits" in table.data["text/plain"]


async def test_the_line_magic_says_who_and_where(
    notebook: RunningNotebook, service: Service
) -> None:
    (said,) = await notebook.run("%load_ext adaptery\n%adaptery")
    assert service.url in text_of([said]) and "demo" in text_of([said])
    assert "token-of-demo" not in json.dumps(said)
