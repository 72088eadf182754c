"""The fleet: the service's side of the network of agents.

live, heartbeats          who is there, from verified heartbeats (pure)
roster                    whom we trust: signed cards, join tokens
orders, dispatcher        sealed orders; jobs to free slots
sealed_desk               grants for callers that seal, and the relay
session_desk              what agents ask within sessions
offers, staging, registration   files out, files in, and what becomes of them
adapter_manifests         what adapters are, signed
fleet                     the whole
"""

from adaptery_hub.fleet.live import AgentView, LiveView

__all__ = ["AgentView", "LiveView"]
