"""The secure computational network: an overlay that carries sealed messages.

    subjects ← transport ← caller (asks)   sealed_server (answers)      envelopes, agent by agent
                         ← sessions (agent asks, service answers)       reports and files
                         ← join, agent_files                            how an agent comes to be
    broker/    identities, permissions and process of nats-server
    agent/     the daemon of a compute host

Nothing is imported here: a module that needs only subjects should not load the rest.
"""
