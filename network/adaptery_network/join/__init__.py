"""Joining: a one-time token becomes an agent with keys, broker credentials and a signed card.

    token ← desk (the service)
          ← newcomer (the agent)

The handshake is sealed to the service's key, which the token carries: a broker sees neither the
secret nor the answer. It is specified in `network/protocol.md`, section 7.
"""

from adaptery_network.join.desk import Enrol, JoinDesk, JoinedAgent, Redeem
from adaptery_network.join.newcomer import join
from adaptery_network.join.token import JoinToken, mint_join_token

__all__ = ["Enrol", "JoinDesk", "JoinToken", "JoinedAgent", "Redeem", "join", "mint_join_token"]
