"""Public data sets that tests may use and the repository does not hold.

`ADAPTERY_TEST_DATA` names the folder that they lie in, each in a folder of its own: `mts-dialog`,
`aci-bench`, `llamafactory-demo`, `fastchat-sharegpt`, `moseley-coffee`. Without it the tests that
need them are skipped; invented samples with the same quirks are in the fast tests.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def real_data(name: str) -> Path:
    """Return the path of a file of a public data set, such as `mts-dialog/LICENSE`."""
    folder = os.environ.get("ADAPTERY_TEST_DATA")
    if not folder:
        pytest.skip("ADAPTERY_TEST_DATA does not name the folder of public data sets")
    path = Path(folder) / name
    if not path.exists():
        pytest.skip(f"{name} is not in the folder that ADAPTERY_TEST_DATA names")
    return path
