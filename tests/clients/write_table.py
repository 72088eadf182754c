"""Writes the table of clients into the README, from what the last whole run recorded.

Run as: `python tests/clients/write_table.py`, after `ADAPTERY_RECORD_CLIENTS=1 pytest tests/clients
tests/e2e/test_jupyter_ai.py`.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from clients.real_clients import CLIENTS, JUPYTER_AI, RealClient, passed

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- clients: written by tests/clients/write_table.py -->", "<!-- /clients -->"


def table() -> str:
    """Return the table in Markdown."""
    found = passed()
    rows = [_row(client, found.get(client.name, [])) for client in (*CLIENTS, JUPYTER_AI)]
    return "\n".join(("| client | version | proved |", "|---|---|---|", *rows))


def _row(client: RealClient, features: list[str]) -> str:
    version = client.requirements[0].partition("==")[2] if client.requirements else "any"
    proved = ", ".join(feature for feature in client.features if feature in features)
    missing = ", ".join(feature for feature in client.features if feature not in features)
    return f"| {client.name} | {version} | {proved}{f' (not: {missing})' if missing else ''} |"


def with_table(readme: str) -> str:
    """Return the README with the table of now."""
    return re.sub(f"{BEGIN}.*?{END}", f"{BEGIN}\n{table()}\n{END}", readme, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
