"""`api/tasks`: the definitions that shape job forms."""

from __future__ import annotations

from adaptery.schemas.common import Page
from adaptery.schemas.tasks import Task, TaskProblem
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


class TasksHandler(Handler):
    """All tasks."""

    async def get(self) -> None:
        """List the tasks."""
        after, limit = self.page()
        compute, groups = compute_of(self), self.identity.groups
        await compute.tasks.refresh()
        tasks = [
            compute.tasks.describe(task, compute.base_models.names, groups)
            for task in compute.tasks.seen_by(groups)
            if after is None or task.name > after
        ]
        self.answer_page(tasks[: limit + 1], limit)


class TaskHandler(Handler):
    """One task."""

    async def get(self, task: str) -> None:
        """Answer the task."""
        self.check_query()
        compute, groups = compute_of(self), self.identity.groups
        await compute.tasks.refresh()
        found = compute.tasks.get(task, groups)
        self.answer(compute.tasks.describe(found, compute.base_models.names, groups))


class TaskProblemsHandler(Handler):
    """What is wrong with task files."""

    async def get(self) -> None:
        """List the problems."""
        after, limit = self.page()
        tasks = compute_of(self).tasks
        await tasks.refresh()
        places = [problem.where for problem in tasks.problems]
        start = places.index(after) + 1 if after in places else 0
        self.answer_page(tasks.problems[start : start + limit + 1], limit)


ROUTES = [
    Route(
        "api/tasks",
        TasksHandler,
        {
            "GET": Operation(
                "read", "The tasks that the caller may use.", response=Page[Task], query=PAGE_QUERY
            )
        },
    ),
    Route(
        "api/tasks/problems",
        TaskProblemsHandler,
        {
            "GET": Operation(
                "admin",
                "What is wrong with task files; their tasks go on as they were.",
                response=Page[TaskProblem],
                query={"after": "`where` of the last one seen", "limit": PAGE_QUERY["limit"]},
            )
        },
    ),
    Route("api/tasks/{task}", TaskHandler, {"GET": Operation("read", "One task.", response=Task)}),
]
