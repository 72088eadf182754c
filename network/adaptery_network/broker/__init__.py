"""The broker: its identities, what its users may do, its process.

jwts ← permissions ← identity ← config (the process), accounts (changing it live)
"""

from adaptery_network.broker.accounts import push_account, revoke_user
from adaptery_network.broker.config import BrokerConfig, broker_command, write_config
from adaptery_network.broker.identity import NetworkIdentity

__all__ = [
    "BrokerConfig",
    "NetworkIdentity",
    "broker_command",
    "push_account",
    "revoke_user",
    "write_config",
]
