"""The catalog of tasks: the files shipped with the service and the ones the administrator adds.

Files are read once at start. A file of the administrator replaces a shipped one of the same name. A
bad file stops the start with its path and the reason, because a task that silently goes missing
would strand its queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from adaptery.digests import sha256_bytes
from adaptery.errors import NotFoundError, SpecError
from adaptery.schemas.jobs import OptionValue
from adaptery.schemas.tasks import Task
from adaptery_hub.tasks.definitions import TaskDefinition
from adaptery_hub.tasks.options import TaskOptions

SHIPPED = Path(__file__).parent
TASK_FILE_LIMIT_BYTES = 256 * 1024


class TaskCatalog:
    """Every task that a job may name."""

    def __init__(self, tasks: Iterable[TaskDefinition]) -> None:
        self._tasks = {task.name: task for task in tasks}
        self._options = {name: TaskOptions(task) for name, task in self._tasks.items()}

    @classmethod
    def load(cls, *folders: Path) -> TaskCatalog:
        """Reads the shipped tasks, then those in `folders`.

        Raises:
            SpecError: A file is not a task definition.
        """
        found: dict[str, TaskDefinition] = {}
        for folder in (SHIPPED, *folders):
            for path in sorted(folder.glob("*.yaml")):
                task = read_task(path)
                found[task.name] = task
        return cls(found.values())

    def __iter__(self) -> Iterator[TaskDefinition]:
        return iter(self._tasks.values())

    def get(self, name: str) -> TaskDefinition:
        """Returns the task called `name`.

        Raises:
            NotFoundError: There is no such task.
        """
        try:
            return self._tasks[name]
        except KeyError:
            raise NotFoundError(
                "There is no such task.", hint="GET api/tasks lists them."
            ) from None

    def check_options(self, name: str, values: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Checks a user's options for the task called `name`; see `TaskOptions.check`."""
        self.get(name)
        return self._options[name].check(values)

    def queues(self) -> frozenset[str]:
        """Returns the queues that some task feeds."""
        return frozenset(task.queue for task in self._tasks.values())

    def describe(self, task: TaskDefinition) -> Task:
        """Returns the task as the API shows it."""
        return Task(
            name=task.name,
            title=task.title,
            stage=task.stage,
            queue=task.queue,
            description=task.description,
            schema=self._options[task.name].json_schema(),
        )


def read_task(path: Path) -> TaskDefinition:
    """Reads one task file.

    Raises:
        SpecError: The file is too large, is not YAML, or is not a task definition.
    """
    if path.stat().st_size > TASK_FILE_LIMIT_BYTES:
        raise SpecError(f"The task file {path.name} is larger than {TASK_FILE_LIMIT_BYTES} bytes.")
    text = path.read_bytes()
    try:
        data = yaml.safe_load(text)
        if not isinstance(data, dict):
            raise SpecError(f"The task file {path.name} must be a mapping.")
        return TaskDefinition.model_validate({**data, "digest": sha256_bytes(text)})
    except yaml.YAMLError as problem:
        raise SpecError(f"The task file {path.name} is not valid YAML: {problem}") from None
    except ValidationError as problem:
        raise SpecError(f"The task file {path.name} is not a task: {problem}") from None
