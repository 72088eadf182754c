"""Which clients are proved against a running Hub, and by which features of theirs.

The table of clients in the README says the same: `python tests/clients/write_table.py` writes it
from what the last whole run recorded, and a test holds the two together.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from support.client_environments import Environment

PROGRAMS = Path(__file__).with_name("programs")
#: What the last whole run found: client -> version and features that passed.
RECORD = Path(__file__).with_name("record.json")


@dataclass(frozen=True)
class RealClient:
    """A client, the program that uses it, and what it proves."""

    name: str  # as its users know it
    program: str
    requirements: tuple[str, ...]
    features: tuple[str, ...]
    fast: bool = False  # also in the tests of each change

    @property
    def environment(self) -> Environment:
        """Where the program runs."""
        return Environment(Path(self.program).stem, self.requirements)


CLIENTS = (
    RealClient(
        "openai-python",
        "openai_python.py",
        ("openai==3.57.0",),
        (
            "models",
            "chat",
            "stream",
            "completions",
            "sampling",
            "JSON schema",
            "tools",
            "embeddings",
            "errors",
        ),
        fast=True,
    ),
    RealClient("curl", "curl.sh", (), ("models", "chat", "stream", "errors"), fast=True),
    RealClient(
        "langchain-openai",
        "langchain_openai_chat.py",
        ("langchain-openai==1.7.4",),
        ("chat", "stream", "JSON schema", "tools", "embeddings"),
    ),
    RealClient(
        "langchain-community `VLLMOpenAI`",
        "langchain_vllm.py",
        ("langchain-community==0.4.2", "openai==3.57.0"),
        ("completions", "stream", "defaults"),
    ),
    RealClient(
        "lorax-client",
        "lorax_generate.py",
        ("lorax-client==0.6.3",),
        ("generate", "stream", "errors"),
    ),
    RealClient(
        "litellm",
        "litellm_sdk.py",
        ("litellm==1.110.2",),
        ("chat", "stream", "embeddings", "errors"),
    ),
    RealClient(
        "langchain-caai", "langchain_caai_embeddings.py", ("langchain-caai==0.5",), ("embeddings",)
    ),
)

#: Proved in a browser, by `tests/e2e/test_jupyter_ai.py`.
JUPYTER_AI = RealClient(
    "Jupyter AI",
    "",
    ("jupyter-ai==3.2.0", "jupyterhub==6.1.1"),
    ("chat", "stream", "models"),
)


def passed() -> dict[str, list[str]]:
    """Return what the last whole run found, by client."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def note(client: str, features: list[str]) -> None:
    """Record what passed for one client."""
    found = passed() | {client: features}
    RECORD.write_text(json.dumps(dict(sorted(found.items())), indent=2) + "\n")
