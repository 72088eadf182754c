"""Tasks as the API shows them: what a form, a command line and a client need to make a job."""

from __future__ import annotations

from pydantic import Field

from adaptery.records import Kind
from adaptery.schemas.common import Answer, JsonObject, ProblemEntry
from adaptery.schemas.spec import Stage

__all__ = ["Task", "TaskProblem", "TaskTakes"]


class TaskTakes(Answer):
    """What a job of a task may be given besides versions."""

    start_from: bool = False
    reward: bool = False


class Task(Answer):
    """An admin-written definition that shapes a form and names a queue.

    The schema holds the options in the order of the form; each has a title, a description and a
    `section`, and those that most users leave alone are `advanced`.
    """

    name: str
    title: str
    stage: Stage
    queue: str
    description: str
    schema_: JsonObject = Field(alias="schema", description="JSON Schema of the options")
    digest: str = Field(default="", description="of the whole definition; jobs keep it")
    groups: tuple[str, ...] = Field(
        default=(), description="those of the caller's groups that the task is meant for"
    )
    base_models: tuple[str, ...] = Field(default=(), description="names that a job may choose from")
    kinds: tuple[Kind, ...] = Field(default=(), description="kinds of records it learns from")
    takes: TaskTakes = TaskTakes()

    model_config = {**Answer.model_config, "populate_by_name": True, "serialize_by_alias": True}


class TaskProblem(ProblemEntry):
    """Something wrong with a task file; `where` is `file:line key`."""

    task: str = Field(default="", description="the task that it keeps from changing")
