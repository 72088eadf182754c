"""Tasks: the administrator's definitions that shape the job form and name the queue."""

from adaptery_hub.tasks.catalog import TaskCatalog
from adaptery_hub.tasks.definitions import TaskDefinition

__all__ = ["TaskCatalog", "TaskDefinition"]
