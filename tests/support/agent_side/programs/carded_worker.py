"""The tiny worker of the agent's tests, which also writes the card that the service checks."""

import importlib.util
import json
import sys
from pathlib import Path

from adaptery.adapter_folders import inspect_adapter

PROGRAM = Path(__file__).with_name("worker.py")


def main() -> None:
    found = importlib.util.spec_from_file_location("tiny_worker", PROGRAM)
    assert found is not None and found.loader is not None
    worker = importlib.util.module_from_spec(found)
    found.loader.exec_module(worker)
    save_adapter = worker.save_adapter

    def save_with_card(value: float) -> None:
        save_adapter(value)
        spec = json.loads(Path("job.json").read_text())
        folder = Path("adapter")
        datasets = spec["inputs"]
        if "forge" in (Path(sys.argv[-1]) / "behaviour").read_text():
            datasets = [{**entry, "content_digest": "sha256:" + "0" * 64} for entry in datasets]
        card = {
            "card_version": 1,
            "base_model": spec["base_model"],
            "datasets": datasets,
            "adapter": {"weight_digest": inspect_adapter(folder).weight_digest},
        }
        (folder / "card.json").write_text(json.dumps(card))

    worker.save_adapter = save_with_card
    worker.main()


if __name__ == "__main__":
    main()
