"""Run as: python -m adaptery_training --spec job.json --base-model DIR, in the work folder.

With `--abilities` alone it says what workers can here (`adaptery.abilities`), as a JSON list.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path


class _TellAbilities(argparse.Action):
    """Says them and ends, as `--help` does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        """See `argparse.Action`."""
        from adaptery_training.abilities import find_abilities

        sys.stdout.write(json.dumps(find_abilities()) + "\n")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training attempt in the current folder and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m adaptery_training",
        description="Run one training attempt in the current folder.",
        epilog="Exit codes: 0 done, 1 failed (see the last event), 73 failed without room to say "
        "why, 75 stopped by SIGTERM.",
        allow_abbrev=False,
    )
    parser.add_argument("--spec", required=True, help="job spec, a JSON file in the work folder")
    parser.add_argument("--base-model", required=True, type=Path, help="folder of the base model")
    parser.add_argument(
        "--abilities", action=_TellAbilities, nargs=0, help="say what workers can here, and end"
    )
    # Before any import of the libraries that read it: an attempt never asks the network.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # noise about forks otherwise
    # A thread that waits for another lets go of its core. The default, spinning, saves microseconds
    # on an idle machine; on a busy one a step took five to eight times as long (measured: two
    # threads, two cores, load 6 to 10).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # One device for one attempt: seeing several, the Trainer would spread a batch over all of them.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    options = parser.parse_args(arguments)
    from adaptery_training.attempt import EXIT_NO_ROOM, run_attempt

    code = run_attempt(Path.cwd(), options.spec, options.base_model)
    if code == EXIT_NO_ROOM:
        os._exit(code)  # Python would try once more to write what it could not, and end with 120
    return code


if __name__ == "__main__":
    sys.exit(main())
