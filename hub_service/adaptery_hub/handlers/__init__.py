"""HTTP handlers: each parses, authorises, makes one call and answers.

`ROUTE_MODULES` lists the modules that contribute routes, in matching order.
"""

from __future__ import annotations

from adaptery_hub.handlers import (
    adapters,
    agents,
    base_models,
    completions,
    datasets,
    edits,
    files,
    grants,
    health,
    jobs,
    keys,
    metrics,
    models,
    openapi,
    operations,
    page,
    records,
    tasks,
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
    models,
    completions,
    openapi,
    operations,
)
