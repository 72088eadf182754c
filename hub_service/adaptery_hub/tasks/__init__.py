"""Tasks: the administrator's definitions that shape the job form and name the queue."""

from adaptery_hub.tasks.catalog import TaskCatalog
from adaptery_hub.tasks.combinations import BaseFacts, Circumstances, check_combinations
from adaptery_hub.tasks.definitions import TaskDefinition
from adaptery_hub.tasks.freezing import freeze_spec

__all__ = [
    "BaseFacts",
    "Circumstances",
    "TaskCatalog",
    "TaskDefinition",
    "check_combinations",
    "freeze_spec",
]
