import errno
import re
from pathlib import Path

import pytest

import adaptery_training
from adaptery.errors import IntegrityError
from adaptery_training import failures
from adaptery_training.failures import TrainingError, explain

SECRET = "the patient's name"


class OutOfMemoryError(RuntimeError):
    """As torch names the one of a device."""


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (OutOfMemoryError(SECRET), "out_of_memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out_of_memory",
        ),
        (OSError(errno.ENOMEM, SECRET), "out_of_memory"),
        (
            ImportError("libtorch.so: failed to map segment from shared object"),
            "out_of_memory",
        ),
        (caused(ImportError(SECRET), MemoryError()), "out_of_memory"),
        (RuntimeError(f"CUDA error: out of memory, {SECRET}"), "out_of_memory"),
        (caused(ValueError(SECRET), OutOfMemoryError(SECRET)), "out_of_memory"),
        (OSError(errno.ENOSPC, SECRET), "disk_full"),
        (OSError(errno.EDQUOT, SECRET), "disk_full"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), "disk_full"),
        (ValueError(SECRET), "training_internal"),
        (IntegrityError("A digest differs."), "training_failed"),
    ],
)
def test_foreign_errors_become_ones_with_a_remedy_and_without_their_words(error, code):
    told = explain(error)
    assert told.code == code
    assert told.hint and SECRET not in str(told)


def test_every_code_is_documented_and_unique():
    classes = [c for c in vars(failures).values() if isinstance(c, type)]
    codes = [c.code for c in classes if issubclass(c, TrainingError)]
    assert len(set(codes)) == len(codes)
    readme = Path(adaptery_training.__file__).parents[1] / "README.md"
    documented = re.findall(r"^\| `(\w+)` \|", readme.read_text("utf-8"), re.MULTILINE)
    assert set(codes) <= set(documented)
