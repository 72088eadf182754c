"""The views in a real Lab: what a reader waits for, and what keeps the page from answering.

Script time comes from Chromium's trace. Peers, each with all its data in the page: Tabulator for
the table, uPlot drawing every point for the charts. Goals: the first rows of 200,000 records within
500 ms, no task over 50 ms while scrolling, a chart update at 100,000 points within 16 ms, the first
token painted within 50 ms after it reached the service, the panel within 1 s after Lab is ready.

Run as: make bench BENCH=views
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from browser_trace import Window, record
from measures import Measure
from playwright.sync_api import Page
from views_stage import Stage, open_stage

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[1] / "build" / "bench" / "peers"
UPLOT = HERE.parents[1] / "widgets" / "views-src" / "node_modules" / "uplot" / "dist"
TABULATOR = "tabulator-tables@6.5.3"
RECORDS, POINTS, PAGE_POINTS = 200_000, 100_000, 2_000
ROUNDS, UPDATES, WHEELS, ANSWERS = 5, 40, 60, 9
WHEEL_MS, UPDATE_MS, PAINT_MS = 40, 60, 200


def measure() -> list[Measure]:
    """Measure everything, rounds of ours and of the peer in turn."""
    _fetch_peer()
    with (
        tempfile.TemporaryDirectory(prefix="adaptery-bench-") as folder,
        open_stage(Path(folder), RECORDS) as stage,
    ):
        return [*_table(stage), *_charts(stage), _first_token(stage), _panel(stage)]


def _table(stage: Stage) -> list[Measure]:
    page = _prepared(stage)
    page.add_script_tag(path=PEERS / "node_modules/tabulator-tables/dist/js/tabulator.min.js")
    page.add_style_tag(path=PEERS / "node_modules/tabulator-tables/dist/css/tabulator.min.css")
    runs = {
        "ours": lambda: page.evaluate("bench.showTable", stage.service.about["dataset"]),
        "peer": lambda: page.evaluate("bench.peerTable", RECORDS),
    }
    first: dict[str, list[Window]] = {name: [] for name in runs}
    scroll: dict[str, list[Window]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, show in runs.items():
            first[name].append(_traced(stage, page, show, "painted"))
            scroll[name].append(_traced(stage, page, lambda: _scroll(page), "end"))
    page.close()
    how = (
        f"{RECORDS:,} records, {WHEELS} turns of the wheel {WHEEL_MS} ms apart, median of {ROUNDS}"
    )
    peer = "Tabulator, rows in the page"
    return [
        Measure(
            "table, first rows painted",
            _median(first["ours"], "wall_ms"),
            "ms",
            how,
            peer,
            _median(first["peer"], "wall_ms"),
            limit=500,
        ),
        Measure(
            "table, longest task of a scroll",
            _median(scroll["ours"], "longest_task_ms"),
            "ms",
            how,
            peer,
            _median(scroll["peer"], "longest_task_ms"),
            limit=50,
        ),
        Measure(
            "table, longest task of all scrolls, processor time",
            max(window.longest_task_cpu_ms for window in scroll["ours"]),
            "ms",
            how,
            peer,
            max(window.longest_task_cpu_ms for window in scroll["peer"]),
            limit=50,
        ),
        Measure(
            "table, script of a scroll",
            _median(scroll["ours"], "script_ms"),
            "ms",
            how,
            peer,
            _median(scroll["peer"], "script_ms"),
        ),
    ]


def _scroll(page: Page) -> None:
    grid = page.locator("#bench-stage [role=grid], #bench-stage .tabulator-tableholder").first
    box = grid.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + min(box["height"], 400) / 2)
    page.evaluate("performance.mark('begin')")
    for turn in range(WHEELS):
        page.mouse.wheel(0, 600 if turn < WHEELS // 2 else 30_000)
        page.wait_for_timeout(WHEEL_MS)
    page.evaluate("performance.mark('end')")


def _charts(stage: Stage) -> list[Measure]:
    page = _prepared(stage)
    page.add_script_tag(path=UPLOT / "uPlot.iife.min.js")
    page.add_style_tag(path=UPLOT / "uPlot.min.css")
    pace = [UPDATES, UPDATE_MS]
    runs = {
        "ours": lambda: page.evaluate("bench.showCharts", [POINTS, PAGE_POINTS, *pace]),
        "peer": lambda: page.evaluate("bench.peerCharts", [POINTS, *pace]),
    }
    windows: dict[str, list[Window]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, show in runs.items():
            windows[name].append(_traced(stage, page, show, "end"))
    page.close()
    how = f"4 charts of {POINTS:,} points, {UPDATES} updates of all, median of {ROUNDS}"
    script = {name: _median(found, "script_ms") / UPDATES for name, found in windows.items()}
    longest = {name: _median(found, "longest_task_cpu_ms") for name, found in windows.items()}
    peer = "uPlot, every point"
    return [
        Measure(
            "charts, script of an update", script["ours"], "ms", how, peer, script["peer"], limit=16
        ),
        Measure(
            "charts, longest task, processor time",
            longest["ours"],
            "ms",
            how,
            peer,
            longest["peer"],
            limit=16,
        ),
    ]


def _first_token(stage: Stage) -> Measure:
    page = _prepared(stage)
    page.evaluate("bench.show('chat', {})")
    view = page.locator("#bench-stage .ady-chat")
    view.locator("select option").first.wait_for(state="attached")
    delays = [_answer_once(stage, page, number) for number in range(ANSWERS)]
    page.close()
    how = f"service, Jupyter server, page; median of {ANSWERS}"
    return Measure("chat, first token painted", statistics.median(delays), "ms", how, limit=50)


def _answer_once(stage: Stage, page: Page, number: int) -> float:
    view = page.locator("#bench-stage .ady-chat")
    view.get_by_label("Message", exact=True).fill(f"Question {number}")
    with record(stage.browser, page) as trace:
        page.evaluate("bench.waitForToken", number)
        view.get_by_role("button", name="Send").click()
        shown_at = float(page.evaluate("bench.firstToken"))
        page.wait_for_timeout(PAINT_MS)
    view.get_by_role("button", name="Stop").click()
    view.get_by_role("button", name="Send").wait_for()
    return (shown_at - stage.service.stamps[-1]) * 1000 + trace.painted_after("token")


def _panel(stage: Stage) -> Measure:
    delays = [_panel_once(stage) for _ in range(ROUNDS)]
    how = f"from Lab's first launcher to the panel's rows, median of {ROUNDS}"
    return Measure("panel usable", statistics.median(delays), "ms", how, limit=1000)


def _panel_once(stage: Stage) -> float:
    page = stage.page()
    tab = page.locator(".jp-SideBar [data-id='adaptery-sidebar']")
    page.locator(".jp-Launcher").first.wait_for(timeout=60_000)
    began = time.perf_counter()
    tab.click()
    page.locator(".ady-panel .part .line").first.wait_for(timeout=60_000)
    took = (time.perf_counter() - began) * 1000
    page.context.close()
    return took


def _prepared(stage: Stage) -> Page:
    """Return a page of Lab in which `bench` can be used."""
    page = stage.page()
    page.locator(".jp-Launcher").first.wait_for(timeout=60_000)
    page.add_script_tag(path=HERE / "views_page.js")
    return page


def _traced(stage: Stage, page: Page, act: Callable[[], object], end: str) -> Window:
    page.evaluate("performance.clearMarks()")
    with record(stage.browser, page) as trace:
        act()
    return trace.window("begin", end)


def _median(windows: list[Window], name: str) -> float:
    return statistics.median(float(getattr(window, name)) for window in windows)


def _fetch_peer() -> None:
    if (PEERS / "node_modules" / "tabulator-tables").exists():
        return
    PEERS.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--prefix", str(PEERS), "--no-audit", "--no-fund", TABULATOR]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
