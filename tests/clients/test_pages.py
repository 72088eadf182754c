"""The lines of each client's how-to page run as they stand, with address, key and names put in."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.conftest import RUN_SECONDS, client_variables
from clients.real_clients import CLIENTS, RealClient

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
#: The first use of a client installs it. The clients themselves run in the fast tier too.
pytestmark = [pytest.mark.timeout(1500), pytest.mark.slow]


@dataclass(frozen=True)
class Page:
    """Where the lines of a client stand."""

    name: str
    only: str = ""  # the section whose heading begins so
    without: str | None = None

    def lines(self, language: str) -> str:
        """Return the blocks of one language, in order, as one program."""
        text = (HOWTO / self.name).read_text(encoding="utf-8")
        sections = re.split(r"^## ", text, flags=re.MULTILINE)
        chosen = [section for section in sections if self.is_meant(section)]
        pattern = rf"^```{language}\n(.*?)^```"
        blocks = re.findall(pattern, "".join(chosen), re.DOTALL | re.MULTILINE)
        return "\n".join(blocks)

    def is_meant(self, section: str) -> bool:
        """Whether a section is about the client."""
        skipped = self.without is not None and section.startswith(self.without)
        return section.startswith(self.only) and not skipped


PAGES = {
    "openai-python": Page("openai.md"),
    "curl": Page("curl.md"),
    "langchain-openai": Page("langchain.md", without="`VLLMOpenAI`"),
    "langchain-community `VLLMOpenAI`": Page("langchain.md", only="`VLLMOpenAI`"),
    "lorax-client": Page("lorax.md"),
    "litellm": Page("litellm.md"),
    "langchain-caai": Page("langchain-caai.md"),
}


def filled_in(lines: str, place: dict[str, str]) -> str:
    """Return the lines with what their reader would put in."""
    for written, meant in {
        "https://hub.example.edu/services/adaptery": place["service"],
        "ak-...": place["token"],
        "@demo/soap": place["adapter"].partition("@1")[0],
        "sentence-transformers/all-MiniLM-L6-v2": place["embedding"],
        "Mixtral-8x7B-Instruct-v0.1": place["base"],
    }.items():
        lines = lines.replace(written, meant)
    return lines


CASES = [pytest.param(client, id=client.name) for client in CLIENTS]


@pytest.mark.parametrize("client", CASES)
def test_the_lines_of_the_page_run(
    client: RealClient, place: dict[str, str], tmp_path: Path
) -> None:
    python = client.requirements and [client.environment.python(), "-W", "ignore"]
    lines = filled_in(PAGES[client.name].lines("python" if python else "bash"), place)
    assert lines
    program = tmp_path / "page"
    program.write_text(lines)
    run = subprocess.run(
        [*(python or ["bash", "-e"]), program],
        env=client_variables(),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout or client.name == "langchain-caai", "it shows something"
    assert "WHY IS DATA NOT IN" not in run.stdout
