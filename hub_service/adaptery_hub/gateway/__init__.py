"""The gateway: the part of the service that lets inference in.

resolution   from a `model` to weights, if the caller may use them
rebuild      the engine's request from typed fields
routing      which agent (pure)
places       how many answers each agent gives at a time, and the line before them
fair_line    whose turn it is (pure)
answers      one answer on its way
gateway      the whole course
embedding    the same for vectors (tenant_shares)
sealed       the course of what the service cannot read (kept_turns, sealed_answers)
"""

from adaptery_hub.gateway.answers import OpenAnswer
from adaptery_hub.gateway.gateway import Gateway, InferenceFleet, InferOrder
from adaptery_hub.gateway.rebuild import CacheSalts
from adaptery_hub.gateway.resolution import AdapterTarget, Resolver, Target, adapter_target

__all__ = [
    "AdapterTarget",
    "CacheSalts",
    "Gateway",
    "InferOrder",
    "InferenceFleet",
    "OpenAnswer",
    "Resolver",
    "Target",
    "adapter_target",
]
