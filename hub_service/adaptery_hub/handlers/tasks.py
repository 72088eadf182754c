"""`api/tasks`: the definitions that shape job forms."""

from __future__ import annotations

from adaptery.schemas.common import Page
from adaptery.schemas.tasks import Task
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


class TasksHandler(Handler):
    """All tasks."""

    async def get(self) -> None:
        """List the tasks."""
        after, limit = self.page()
        catalog = compute_of(self).tasks
        tasks = [catalog.describe(task) for task in catalog]
        names = [task.name for task in tasks]
        start = names.index(after) + 1 if after in names else 0
        self.answer_page(tasks[start : start + limit + 1], limit)


class TaskHandler(Handler):
    """One task."""

    async def get(self, task: str) -> None:
        """Answer the task."""
        self.check_query()
        catalog = compute_of(self).tasks
        self.answer(catalog.describe(catalog.get(task)))


ROUTES = [
    Route(
        "api/tasks",
        TasksHandler,
        {"GET": Operation("read", "The tasks.", response=Page[Task], query=PAGE_QUERY)},
    ),
    Route("api/tasks/{task}", TaskHandler, {"GET": Operation("read", "One task.", response=Task)}),
]
