"""HTTP handlers: each parses, authorises, makes one call and answers.

`ROUTE_MODULES` lists the modules that contribute routes, in matching order.
"""

from __future__ import annotations

from adaptery_hub.handlers import (
    adapters,
    agents,
    audit,
    base_models,
    completions,
    datasets,
    edits,
    embeddings,
    files,
    grants,
    health,
    jobs,
    keys,
    lorax,
    metrics,
    models,
    openapi,
    operations,
    page,
    records,
    retention,
    sealed,
    storage,
    tasks,
    tenants,
    usage,
    versions,
    whoami,
)

#: Every module with a list `ROUTES`. A new handler module is added here and nowhere else.
ROUTE_MODULES = (
    page,
    health,
    metrics,
    whoami,
    datasets,
    files,
    records,
    edits,
    versions,
    base_models,
    tasks,
    jobs,
    adapters,
    grants,
    agents,
    keys,
    storage,
    tenants,
    retention,
    usage,
    audit,
    models,
    completions,
    lorax,
    embeddings,
    sealed,
    openapi,
    operations,
)
