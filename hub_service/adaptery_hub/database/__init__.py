"""The service's database: one engine, the tables, their migrations and named statements."""

from adaptery_hub.database.engine import Database
from adaptery_hub.database.lanes import Lane

__all__ = ["Database", "Lane"]
