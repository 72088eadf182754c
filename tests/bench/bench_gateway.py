"""The gateway's whole path against the same fixed upstream, LiteLLM's proxy beside it.

Requests at 1 and 50 concurrent, plain; what a stream costs to begin; 50 paced streams; the service
killed under 200 streams; with `ADAPTERY_BENCH_LONG=1` also 1,000
streams for ten minutes (`ADAPTERY_BENCH_LONG=180`: for so many seconds), whose memory must not
grow. Rounds of ours and the peer's take turns; medians are reported.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway_stage import Stage, Target, killed_under, memory_mib, open_stage
from gateway_upstream import PIECES
from measures import Measure

ROUNDS = int(os.environ.get("ADAPTERY_BENCH_ROUNDS", "3"))
SECONDS = 5.0
MANY = 50
USERS = 25
KILLED_STREAMS = 200
SOAK_STREAMS, SOAK_SECONDS, SOAK_AGENTS = 1_000, 600.0, 4
SOAK_SETTLE_SHARE = 0.25  # of the time; memory is compared with what it was then
HOW = f"whole path, service on one core, the rest on another; median of {ROUNDS} rounds, {{}}"
PEER = "LiteLLM proxy"

Rounds = Sequence[Mapping[str, float]]


def measure() -> list[Measure]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="adaptery-bench-") as folder:
        root, found = Path(folder), list[Measure]()
        if os.environ.get("ADAPTERY_BENCH_SHORT", "1") != "0":
            (root / "short").mkdir()
            with open_stage(root / "short", USERS) as stage:
                for part in (requests, alone, begun, streams, killed):
                    found += part(stage)
        long = float(os.environ.get("ADAPTERY_BENCH_LONG") or 0)
        if long:
            (root / "long").mkdir()
            answers = SOAK_STREAMS // SOAK_AGENTS
            options = (USERS, SOAK_AGENTS, answers)
            with open_stage(root / "long", *options, with_peer=False) as stage:
                found += soak(stage, SOAK_SECONDS if long == 1 else long)
    return found


def requests(stage: Stage) -> list[Measure]:
    """Plain requests, as many as fit, at 50 concurrent."""
    ours, theirs = interleaved([stage.ours, stage.litellm], "plain", MANY)
    how = HOW.format(f"{MANY} concurrent")
    return [
        Measure(
            "plain requests", middle(ours, "per_second"), "1/s", how, PEER,
            middle(theirs, "per_second"), 4.0,
        ),
        Measure(
            "plain p99 (limit: the peer's p50)", middle(ours, "p99"), "ms", how, PEER,
            middle(theirs, "p99"), limit=middle(theirs, "p50"),
        ),
        Measure("plain p50", middle(ours, "p50"), "ms", how, PEER, middle(theirs, "p50")),
        Measure(
            "service CPU per request", 1000 * middle(ours, "cpu_seconds") / middle(ours, "count"),
            "ms", how, PEER, 1000 * middle(theirs, "cpu_seconds") / middle(theirs, "count"),
        ),
        errors("plain requests", ours, how),
    ]  # fmt: skip


def alone(stage: Stage) -> list[Measure]:
    """Plain requests one after the other: what the gateway adds to the upstream."""
    targets = [stage.ours, stage.litellm, stage.direct]
    ours, theirs, direct = interleaved(targets, "plain", 1)
    base = middle(direct, "p50")
    return [
        Measure(
            "added at 1 concurrent, p50", middle(ours, "p50") - base, "ms",
            HOW.format("one request at a time"), PEER, middle(theirs, "p50") - base, limit=4.0,
        )
    ]  # fmt: skip


def begun(stage: Stage) -> list[Measure]:
    """Streams of one piece: what it costs that one begins and ends."""
    ours, theirs = interleaved([stage.ours, stage.litellm], "begun", MANY)
    how = HOW.format(f"{MANY} streams of one piece at any time")
    count = middle(ours, "count")
    return [
        Measure(
            "service CPU per stream begun", 1000 * middle(ours, "cpu_seconds") / count, "ms", how,
            PEER, 1000 * middle(theirs, "cpu_seconds") / middle(theirs, "count"),
        ),
        Measure(
            "agent CPU per stream begun", 1000 * middle(ours, "agent_cpu_seconds") / count, "ms",
            how,
        ),
        errors("streams begun", ours, how),
    ]  # fmt: skip


def killed(stage: Stage) -> list[Measure]:
    """How soon the service answers again after `kill -9`; the last part, for it is another then."""
    how = HOW.format(f"killed while it gave {KILLED_STREAMS} streams, restarted at once")
    seconds = [killed_under(stage, KILLED_STREAMS) for _ in range(ROUNDS)]
    name = f"kill -9 under {KILLED_STREAMS} streams: first answer after restart"
    return [Measure(name, statistics.median(seconds), "s", how, limit=3.0)]


def streams(stage: Stage) -> list[Measure]:
    """Streams of one token per 20 ms that begin together."""
    targets = [stage.ours, stage.litellm, stage.direct]
    ours, theirs, direct = interleaved(targets, "paced", MANY)
    how = HOW.format(f"{MANY} streams of {PIECES} tokens, one per 20 ms, that begin together")
    first, whole = middle(direct, "first_p50"), middle(direct, "whole_p50")
    tokens = middle(ours, "count") * PIECES
    return [
        Measure(
            "added to the first token, p50", middle(ours, "first_p50") - first, "ms", how, PEER,
            middle(theirs, "first_p50") - first, limit=30.0,
        ),
        Measure(
            "added to the whole stream, p50", 100 * (middle(ours, "whole_p50") / whole - 1), "%",
            how, PEER, 100 * (middle(theirs, "whole_p50") / whole - 1), limit=5.0,
        ),
        Measure(
            "service CPU per token", 1e6 * middle(ours, "cpu_seconds") / tokens, "us", how, PEER,
            1e6 * middle(theirs, "cpu_seconds") / (middle(theirs, "count") * PIECES), limit=150.0,
        ),
        errors("paced streams", ours, how),
    ]  # fmt: skip


def soak(stage: Stage, seconds: float) -> list[Measure]:
    """Many streams for long: memory must not grow once it has settled."""
    sampler = MemorySampler(stage.ours.pid, seconds)
    sampler.start()
    found = stage.ours.load("soak", SOAK_STREAMS, seconds)
    sampler.stop()
    how = f"{SOAK_STREAMS} streams at any time, a token each second, for {seconds:.0f} s"
    return [
        Measure("soak: memory grown since it settled", sampler.grown_mib(), "MiB", how, limit=16.0),
        Measure("soak: memory at the end", sampler.last_mib(), "MiB", how),
        Measure("soak: whole stream, p50", found["whole_p50"], "ms", how),
        Measure("soak: streams", found["count"], "streams", how),
        errors("soak", [found], how),
    ]


class MemorySampler(threading.Thread):
    """Notes a process's memory every second."""

    def __init__(self, pid: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self._pid, self._seconds = pid, seconds
        self._samples: list[float] = []
        self._over = threading.Event()

    def run(self) -> None:
        """See `threading.Thread`."""
        while not self._over.wait(1):
            self._samples.append(memory_mib(self._pid))

    def stop(self) -> None:
        """End the notes."""
        self._over.set()
        self.join()

    def grown_mib(self) -> float:
        """Return how much more the last tenth of the time held than the time it had settled."""
        full = self._samples[: int(self._seconds)]
        settled, tenth = int(len(full) * SOAK_SETTLE_SHARE), max(1, len(full) // 10)
        return statistics.median(full[-tenth:]) - statistics.median(full[settled : settled + tenth])

    def last_mib(self) -> float:
        """Return the memory at the end of the load."""
        return self._samples[min(len(self._samples), int(self._seconds)) - 1]


def interleaved(targets: Sequence[Target], kind: str, concurrent: int) -> list[Rounds]:
    """Put a load on each target in turn, round by round."""
    found: list[list[Mapping[str, float]]] = [[] for _ in targets]
    for _ in range(ROUNDS):
        for target, rounds in zip(targets, found, strict=True):
            rounds.append(target.load(kind, concurrent, SECONDS))
    return list(found)


def middle(rounds: Rounds, name: str) -> float:
    """Return the median of a number over the rounds."""
    return statistics.median(one[name] for one in rounds)


def errors(what: str, rounds: Rounds, how: str) -> Measure:
    """Return how many requests did not end well."""
    total = sum(one["errors"] for one in rounds)
    return Measure(f"{what}: errors", total, "requests", how, limit=1.0)
