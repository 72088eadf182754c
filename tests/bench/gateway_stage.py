"""What the gateway's benchmark runs on: the service on one core, everything else on the other.

The whole path is real: Hub token, permission, seal, nats-server, agent, accounting, audit. The same
fixed upstream is the agent's engine and LiteLLM's model. LiteLLM runs on the service's core, in the
same run, from its own environment in `build/bench/peers/litellm`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.broker import free_port
from support.deployment import ADAPTER, ADMIN, Deployment, deployment, token_of
from support.waiting import eventually_sync

HERE = Path(__file__).resolve().parent
LITELLM = HERE.parents[1] / "build" / "bench" / "peers" / "litellm"
LITELLM_VERSION = "1.106.2"
MASTER_KEY = "sk-of-the-benchmark"
START_SECONDS = 120
#: The service has one core to itself; the load, the upstream, broker and agent share the other.
MEASURED, OTHERS = ("taskset", "-c", "0"), ("taskset", "-c", "1")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Target:
    """A server that is measured."""

    url: str
    model: str
    tokens: tuple[str, ...]
    pid: int = 0
    agent_pid: int = 0

    def load(self, kind: str, concurrent: int, seconds: float) -> dict[str, float]:
        """Put a load on it; return what came of it, and the processor seconds it took."""
        before = [cpu_seconds(pid) for pid in (self.pid, self.agent_pid)]
        load = self.begin(kind, concurrent, seconds)
        found = json.loads(load.communicate()[0])
        assert load.returncode == 0, "the load broke off"
        after = [cpu_seconds(pid) for pid in (self.pid, self.agent_pid)]
        service, agent = (b - a for a, b in zip(before, after, strict=True))
        return {**found, "cpu_seconds": service, "agent_cpu_seconds": agent}

    def begin(self, kind: str, concurrent: int, seconds: float) -> subprocess.Popen[str]:
        """Begin to put a load on it; the process says what came of it."""
        words = [kind, self.url, self.model, str(concurrent), str(seconds), *self.tokens]
        command = [*OTHERS, sys.executable, str(HERE / "gateway_load.py"), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@dataclass(frozen=True)
class Stage:
    """Everything that a measure needs."""

    ours: Target
    direct: Target
    litellm: Target
    deployed: Deployment


@contextmanager
def open_stage(
    root: Path, users: int, agents: int = 1, answers: int = 250, *, with_peer: bool = True
) -> Iterator[Stage]:
    """Start everything; it ends with the `with` block."""
    nobody = nullcontext(Target("", "", ()))
    upstream = str(HERE / "gateway_upstream.py")
    port = free_port()
    with (
        deployment(
            root,
            engine=(sys.executable, upstream),
            agents=agents,
            before={"service": MEASURED, "broker": OTHERS, "agent": OTHERS},
            options={"answers_per_agent": answers},
        ) as deployed,
        _process([*OTHERS, sys.executable, upstream, "--port", str(port)], root / "upstream.log"),
        _litellm(root, f"http://127.0.0.1:{port}/v1") if with_peer else nobody as litellm,
    ):
        tokens = tuple(token_of(f"reader{number}") for number in range(users))
        service, agent = (deployed.processes[name].pid for name in ("service", "agent0"))
        yield Stage(
            Target(deployed.v1, ADAPTER, tokens, service, agent),
            Target(f"http://127.0.0.1:{port}/v1", "fixed", ("none",)),
            litellm,
            deployed,
        )


@contextmanager
def _litellm(root: Path, upstream: str) -> Iterator[Target]:
    if not (LITELLM / "bin" / "litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", str(LITELLM)], check=True)
        package = f"litellm[proxy]=={LITELLM_VERSION}"
        subprocess.run([str(LITELLM / "bin" / "pip"), "install", "-q", package], check=True)
    model = {"model": "openai/fake", "api_base": upstream, "api_key": "none"}
    config = {
        "model_list": [{"model_name": "fixed", "litellm_params": model}],
        "litellm_settings": {"num_retries": 0},
        "general_settings": {"master_key": MASTER_KEY},
    }
    path = root / "litellm.yaml"  # JSON is YAML
    path.write_text(json.dumps(config))
    port = free_port()
    command = [*MEASURED, str(LITELLM / "bin" / "litellm"), "--config", str(path)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with _process(command, root / "litellm.log", environment) as pid:
        url = f"http://127.0.0.1:{port}"
        eventually_sync(lambda: _is_up(url), timeout_seconds=START_SECONDS)
        yield Target(f"{url}/v1", "fixed", (MASTER_KEY,), pid)


@contextmanager
def _process(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[int]:
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, **(environment or {})}
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/liveliness", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used; 0 without one."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def killed_under(stage: Stage, streams: int) -> float:
    """Kill the service while it streams; return the seconds from its restart to an answer."""
    deployed, ours = stage.deployed, stage.ours
    load = ours.begin("held", streams, 0)
    admin = {"Authorization": f"Bearer {token_of(ADMIN)}"}

    def all_run() -> bool:
        lines = httpx.get(f"{deployed.url}metrics", headers=admin).text.splitlines()
        return f"adaptery_answers_running {streams}.0" in lines

    eventually_sync(all_run, timeout_seconds=START_SECONDS)
    deployed.kill("service")
    load.communicate()
    began = time.perf_counter()
    deployed.start_service()
    body = {"model": ours.model, "messages": [{"role": "user", "content": "plain"}]}
    headers = {"Authorization": f"Bearer {ours.tokens[0]}"}
    answer = httpx.post(f"{ours.url}/chat/completions", json=body, headers=headers, timeout=60)
    answer.raise_for_status()
    return time.perf_counter() - began


def memory_mib(pid: int) -> float:
    """Return the memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20
