"""What the handlers of jobs, agents and inference share: the computing half of the service."""

from __future__ import annotations

from adaptery.errors import UnavailableError
from adaptery_hub.compute import Compute
from adaptery_hub.fleet.fleet import Fleet
from adaptery_hub.handlers.base import Handler


def compute_of(handler: Handler) -> Compute:
    """Returns the computing half; it exists before the first request is taken."""
    compute = handler.services.compute
    assert compute is not None, "requests are taken only after start_compute"
    return compute


def fleet_of(handler: Handler) -> Fleet:
    """Returns the fleet.

    Raises:
        UnavailableError: No broker is configured.
    """
    fleet = compute_of(handler).fleet
    if fleet is None:
        raise UnavailableError(
            "No network of agents is configured.", hint="set broker_url in the service's config"
        )
    return fleet
