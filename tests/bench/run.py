"""`make bench BENCH=<name>`: runs one benchmark, or all; prints a table and writes JSON.

Each benchmark is a module `bench_<name>.py` beside this file with `measure() -> list[Measure]`. A
peer runs beside us in the same run, rounds interleaved, so that what else the machine does hits
both alike; medians and ratios are reported. Results go to `build/bench/<name>.json`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "build" / "bench"
COLUMNS = ("measure", "value", "unit", "peer", "peer_value", "ratio", "goal", "limit", "holds")


def names() -> list[str]:
    """Return the benchmarks that there are."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def run(name: str) -> None:
    """Run one benchmark, print its table and write its JSON."""
    rows = [measure.as_row() for measure in importlib.import_module(f"bench_{name}").measure()]
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    cells = [list(COLUMNS), *([_text(row[column]) for column in COLUMNS] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "examples")]
    wanted = sys.argv[1:] or names()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}")
    for one in wanted:
        run(one)
