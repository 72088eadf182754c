"""The tutorial's notebook runs as it stands, cell by cell, in a spawned server.

Only what the tiny base model cannot do is changed: fewer steps, shorter records and question.
"""

import json
from pathlib import Path

from local_hub import HubProcess, HubUser
from support.kernel import KernelSession

NOTEBOOK = Path(__file__).resolve().parents[3] / "examples" / "first-adapter.ipynb"
CHANGES = {
    "max_steps=120": "max_steps=4",
    """question = f"{visit['instruction']}\\n{visit['input']}\"""": 'question = "Write a note."',
    "max_tokens=200": "max_tokens=8",
    '"step"] % 10': '"step"] % 1',
}


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    whole = "\x00".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    for old, new in CHANGES.items():
        assert old in whole, f"the tutorial does not say {old} any more"
        whole = whole.replace(old, new)
    return whole.split("\x00")


def write_short_visits(folder: Path) -> None:
    """Write files like those of the tutorial, short enough for the tiny model's context."""
    folder.mkdir()
    visits = [
        {"instruction": f"Write note {i}.", "input": "Penicillin.", "output": f"Plan: {i}."}
        for i in range(12)
    ]
    (folder / "visits_alpaca.json").write_text(json.dumps(visits))
    turns = [{"from": "human", "value": "Note, please."}, {"from": "gpt", "value": "Plan: rest."}]
    (folder / "visits_sharegpt.json").write_text(json.dumps([{"conversations": turns}]))
    (folder / "heldout.json").write_text(json.dumps(visits[:1]))


def test_every_cell_of_the_tutorial_runs(hub: HubProcess, guest: HubUser) -> None:
    write_short_visits(hub.state / "visits")
    guest.spawn()
    kernel = KernelSession(guest)
    try:
        kernel.run(f"import os; os.chdir({str(hub.state)!r})")
        printed = [kernel.run(cell) for cell in code_cells()]
    finally:
        kernel.close()
        guest.stop_server()
    everything = "\n".join(printed)
    assert "@guest/visit-notes@1 holds 13 records" in everything
    assert "record 1, output: is missing" in everything
    assert "completed @guest/notes@1" in everything
    assert printed[-1].strip() == "not_found 404"
