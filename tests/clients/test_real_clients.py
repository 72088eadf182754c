"""Other people's clients, unmodified, against a running Hub: each feature of each is a test."""

import os
from collections.abc import Callable

import pytest

from clients.conftest import Outcomes
from clients.real_clients import CLIENTS, RealClient, note

pytestmark = pytest.mark.timeout(1500)  # the first use of a client installs it

CASES = [
    pytest.param(
        client,
        feature,
        id=f"{client.name}: {feature}",
        marks=[] if client.fast else [pytest.mark.slow],
    )
    for client in CLIENTS
    for feature in client.features
]


@pytest.mark.parametrize(("client", "feature"), CASES)
def test_client(
    client: RealClient, feature: str, outcomes: Callable[[RealClient], Outcomes]
) -> None:
    found = outcomes(client)
    if os.environ.get("ADAPTERY_RECORD_CLIENTS"):
        note(client.name, [name for name, outcome in found.items() if outcome.ok])
    assert found[feature].ok, found[feature].error
    assert set(found) == set(client.features), "the table and the program name the same features"
