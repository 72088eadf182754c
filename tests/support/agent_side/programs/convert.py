"""A converter without torch: copies the behaviour of the tiny worker into a model folder."""

import argparse
import json
import sys
from pathlib import Path


def main():
    parser = argparse.ArgumentParser()
    for name in ("--source", "--name", "--out"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    source, out = Path(given.source), Path(given.out)
    if not source.is_dir():
        sys.exit("no such source")
    out.mkdir(parents=True)
    (out / "behaviour").write_text((source / "behaviour").read_text())
    with (source / "conversions").open("a") as stream:
        stream.write("converted\n")
    said = {"name": given.name, "weight_digest": "sha256:" + "b" * 64, "source": given.source}
    (out / "base_model.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
