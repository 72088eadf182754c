import os
import shutil
import subprocess
import sys

import pytest

from adaptery_training.failures import DiskFullError
from adaptery_training.machine import require_disk, usable_cores


def test_cores_are_those_this_process_may_use():
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


def test_the_share_of_the_disk_is_counted_over_all_files(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"x" * 1_000)
    require_disk(tmp_path, 500, limit_bytes=1_500)
    with pytest.raises(DiskFullError, match="1000 are used"):
        require_disk(tmp_path, 501, limit_bytes=1_500)


def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(DiskFullError):
        require_disk(tmp_path, shutil.disk_usage(tmp_path).free + (1 << 30), limit_bytes=None)


def test_starting_needs_no_torch_before_the_spec_is_accepted():
    code = (
        "import sys, adaptery_training.attempt, adaptery_training.inputs;"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
