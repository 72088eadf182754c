"""The service's database: one engine, the tables, their migrations and named statements."""

from adaptery_hub.database.engine import Database

__all__ = ["Database"]
