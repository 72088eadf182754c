"""PostgreSQL is the other database: the tests of what has tables run on it, too.

Slow: another pytest runs them. Nothing but the database is another there.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.databases import empty_database
from support.executed import VARIABLE, named_statements

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

REPOSITORY = Path(__file__).parents[3]
#: The tests that execute all statements between them.
PARTS = (
    *(
        f"tests/integration/service/test_{name}.py"
        for name in (
            "audit", "bound_adapters", "checkpoints", "curation", "datasets", "edits", "erasing",
            "fine_tuning", "imports", "job_inputs", "jobs", "keys", "limits", "lineage",
            "preflight", "publishing", "queues", "recovery", "retention", "review",
            "sealed", "sharing", "storage_quota", "succession", "tasks", "tenants", "uploads",
            "usage", "worker_routes",
        )
    ),
    "tests/integration/clearml/test_links.py",
    "tests/integration/fleet",
    "tests/integration/queue_contract/test_contract.py",
    "tests/integration/queue_contract/test_clearml_alone.py",
    "tests/integration/stores/test_s3_store.py",
    "tests/unit/gateway/test_resolution.py",
    "tests/unit/hub_jobs",
    "tests/unit/hub_usage/test_usage_log.py",
)  # fmt: skip
#: Not those that are about the other database, nor ClearML's SDK, which meets no table.
CHOSEN = ("-m", "not gpu", "-k", "not sqlite and not sdk")
#: Selects of one column or by one id, whose tests are about a file of SQLite or mean other things.
NOT_MET = {"checkpoints.find_served", "limits.adapters_of", "stored_files.keeps_files"}


def test_what_runs_on_sqlite_runs_on_it_and_executes_every_statement(tmp_path: Path) -> None:
    empty_database("postgresql", tmp_path).close()  # or skips
    executed = tmp_path / "executed"
    ended = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-p", "support.executed", *CHOSEN, *PARTS),
        cwd=REPOSITORY,
        env={
            **os.environ,
            "PYTHONPATH": "tests",
            "ADAPTERY_TEST_DATABASE": "postgresql",
            VARIABLE: str(executed),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-8000:]
    assert named_statements() - set(executed.read_text().split()) <= NOT_MET
