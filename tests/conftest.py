"""What holds for every test: how many examples a property is tried with.

The fast tier tries a quarter of them, always the same ones; everything else tries all.
"""

import pytest
from hypothesis import HealthCheck, settings

#: A busy machine is no finding.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", _PATIENT, max_examples=100)
settings.register_profile("fast", _PATIENT, max_examples=25, derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    fast = "not slow" in config.option.markexpr
    settings.load_profile("fast" if fast else "full")
