"""The catalog of tasks: those shipped with the service and the administrator's own.

A file is called after its task; one of the administrator's replaces a shipped one of the same name,
and so do files in `sections/`. Files are looked at again while the service runs, at most once in
`LOOK_SECONDS` and only when the catalog is used, in a thread; every replica looks by itself.

Invariants:
- A file that cannot be used changes nothing: its task goes on as it was, and the reason is told.
  A task that was never sound is not there; a shipped one never comes back in its place, as it could
  be for more people.
- Readers see all of a change or nothing of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from adaptery.errors import FieldProblem, NotFoundError, SpecError
from adaptery.schemas.jobs import OptionValue
from adaptery.schemas.tasks import Task, TaskProblem, TaskTakes
from adaptery.stages import STAGE_KINDS
from adaptery_hub import logs
from adaptery_hub.tasks.definitions import TaskDefinition
from adaptery_hub.tasks.documents import Document, read_document
from adaptery_hub.tasks.options import TaskOptions
from adaptery_hub.tasks.reading import check_section, read_task

logger = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent
SECTIONS = "sections"
LOOK_SECONDS = 1.0

_Looks = Mapping[Path, tuple[int, int, int]]


@dataclass(frozen=True)
class _Compiled:
    task: TaskDefinition
    options: TaskOptions


@dataclass(frozen=True)
class _State:
    """Everything that one look found."""

    looks: _Looks = field(default_factory=dict[Path, tuple[int, int, int]])
    tasks: Mapping[str, _Compiled] = field(default_factory=dict[str, _Compiled])
    problems: tuple[TaskProblem, ...] = ()


class TaskCatalog:
    """Every task that a job may name."""

    def __init__(self, *folders: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads the shipped tasks, then those in `folders`. Blocks."""
        self._folders = folders
        self._clock = clock
        self._looked_at = clock()
        self._state = _read(_look(folders), folders, _State())

    @classmethod
    def load(cls, *folders: Path) -> Self:
        """Reads the shipped tasks, then those in `folders`; nothing may be wrong with any.

        Raises:
            SpecError: A file is not what it should be; names each fault.
        """
        catalog = cls(*folders)
        if catalog.problems:
            faults = [FieldProblem(p.where, p.reason, p.remedy) for p in catalog.problems]
            raise SpecError("The task files cannot be used.", errors=faults)
        return catalog

    @property
    def problems(self) -> tuple[TaskProblem, ...]:
        """What is wrong with the files as they are now."""
        return self._state.problems

    async def refresh(self) -> None:
        """Takes in what changed in the files, if it is time to look again."""
        if self._clock() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = self._clock()
        before = self._state
        looks = await asyncio.to_thread(_look, self._folders)
        if looks != before.looks:
            self._state = await asyncio.to_thread(_read, looks, self._folders, before)
            _tell(before, self._state)

    def __iter__(self) -> Iterator[TaskDefinition]:
        return (compiled.task for compiled in self._state.tasks.values())

    def seen_by(self, groups: Collection[str]) -> list[TaskDefinition]:
        """Returns the tasks that somebody in these groups of the Hub may use."""
        return [task for task in self if task.is_for(groups)]

    def get(self, name: str, groups: Collection[str] = ()) -> TaskDefinition:
        """Returns the task called `name`, for somebody in these groups of the Hub.

        Raises:
            NotFoundError: There is no such task, or it is not for them.
        """
        compiled = self._state.tasks.get(name)
        if compiled is None or not compiled.task.is_for(groups):
            raise NotFoundError(
                "There is no such task.", hint="The list of tasks has those that are for you."
            )
        return compiled.task

    def check_options(self, name: str, values: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Checks a user's options for the task called `name`; see `TaskOptions.check`."""
        return self._compiled(name).options.check(values)

    def queues(self) -> frozenset[str]:
        """Returns the queues that some task feeds."""
        return frozenset(task.queue for task in self)

    def describe(
        self, task: TaskDefinition, base_models: Collection[str], groups: Collection[str] = ()
    ) -> Task:
        """Returns the task as the API shows it to somebody in these groups of the Hub."""
        return Task(
            name=task.name,
            title=task.title,
            stage=task.stage,
            queue=task.queue,
            description=task.description,
            schema=self._compiled(task.name).options.json_schema(),
            digest=task.digest,
            groups=tuple(group for group in task.groups if group in groups),
            base_models=tuple(task.allowed(base_models)),
            kinds=STAGE_KINDS[task.stage],
            takes=TaskTakes(start_from=task.start_from, reward=task.takes_reward),
        )

    def _compiled(self, name: str) -> _Compiled:
        try:
            return self._state.tasks[name]
        except KeyError:
            raise NotFoundError("There is no such task.") from None


def _look(folders: Collection[Path]) -> _Looks:
    """Returns how every file looks from outside; what cannot be looked at has no size."""
    return {
        path: _outside(path)
        for folder in (SHIPPED, *folders)
        for pattern in ("*.y*ml", f"{SECTIONS}/*.y*ml")
        for path in sorted(folder.glob(pattern))
        if not path.name.startswith(".")
    } | {folder: (0, 0, 0) for folder in folders if not folder.is_dir()}


def _outside(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _read(looks: _Looks, folders: Collection[Path], before: _State) -> _State:
    """Reads all files; what was sound before goes on where its file is not sound now."""
    if any(not folder.is_dir() for folder in folders):
        gone = _problem(
            "tasks_dir", "the folder is not there", "bring it back, or change tasks_dir"
        )
        return _State(looks, before.tasks, (gone,))
    reader = _Reader(before.tasks)
    for path in looks:
        reader.take(path)
    return _State(looks, reader.tasks(), tuple(reader.problems))


class _Reader:
    """Reads files into tasks, and collects what is wrong."""

    def __init__(self, before: Mapping[str, _Compiled]) -> None:
        self.problems: list[TaskProblem] = []
        self._before = before
        self._sections: dict[str, Path] = {}
        self._tasks: dict[str, Path] = {}

    def take(self, path: Path) -> None:
        """Takes a file; one that comes later replaces one of the same name."""
        if path.suffix != ".yaml":
            self.problems.append(_problem(path.name, "is not read", "name it .yaml"))
        elif path.parent.name == SECTIONS:
            self._sections[path.stem] = path
        else:
            self._tasks[path.stem] = path

    def tasks(self) -> dict[str, _Compiled]:
        """Returns the tasks by name."""
        sections = dict(self._sound_sections())
        found: dict[str, _Compiled] = {}
        for name, path in sorted(self._tasks.items()):
            compiled = self._task(name, path, sections) or self._before.get(name)
            if compiled is not None:
                found[name] = compiled
        return found

    def _sound_sections(self) -> Iterator[tuple[str, Document]]:
        for name, path in self._sections.items():
            try:
                document = read_document(path, f"{SECTIONS}/{path.name}")
                check_section(document)
            except SpecError as error:
                self._note(error, "")
            else:
                yield name, document

    def _task(self, name: str, path: Path, sections: Mapping[str, Document]) -> _Compiled | None:
        try:
            task = read_task(name, read_document(path, path.name), sections)
        except SpecError as error:
            self._note(error, name)
            return None
        known = self._before.get(name)
        if known is not None and known.task == task:
            return known
        return _Compiled(task, TaskOptions(task))

    def _note(self, error: SpecError, task: str) -> None:
        self.problems += [
            TaskProblem(where=fault.where, reason=fault.reason, remedy=fault.remedy, task=task)
            for fault in error.errors
        ]


def _problem(where: str, reason: str, remedy: str = "") -> TaskProblem:
    return TaskProblem(where=where, reason=reason, remedy=remedy)


def _tell(before: _State, after: _State) -> None:
    """Notes for the administrator what a look changed."""
    for problem in after.problems:
        if problem not in before.problems:
            told = {"where": problem.where, "reason": problem.reason, "remedy": problem.remedy}
            logs.log(logger, logging.WARNING, "task_file_refused", **told)
    old = {(name, compiled.task.digest) for name, compiled in before.tasks.items()}
    new = {(name, compiled.task.digest) for name, compiled in after.tasks.items()}
    if changed := sorted({name for name, _ in old ^ new}):
        logs.log(logger, logging.INFO, "tasks_changed", tasks=", ".join(changed))
