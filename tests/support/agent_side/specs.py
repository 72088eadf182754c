"""Job specs for agents that run the tiny worker."""

from adaptery.ids import new_id
from adaptery.schemas.spec import JobSpec

BASE_DIGEST = "sha256:" + "b" * 64
GIB = 1024**3


def make_spec(**changes) -> JobSpec:
    spec = {
        "job": new_id("jb"),
        "attempt": new_id("at"),
        "fencing_token": 1,
        "stage": "sft",
        "base_model": {"name": "tiny", "weight_digest": BASE_DIGEST},
        "inputs": [{"version": new_id("dv"), "content_digest": "sha256:" + "c" * 64}],
        "limits": {"wall_seconds": 600, "memory_bytes": 4 * GIB, "disk_bytes": GIB},
    }
    return JobSpec.model_validate({**spec, **changes})
