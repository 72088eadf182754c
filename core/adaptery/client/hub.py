"""The client: one object for one service, one method for each thing to do.

In a server that the Hub started, `connect()` needs nothing: the spawner set the address and the
token.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, overload

import httpx

from adaptery.client.adapters import Adapters
from adaptery.client.agents import Agents
from adaptery.client.chats import ChatAnswer, ChatStream, Messages, chat_request, complete
from adaptery.client.columns import BASE_MODELS, STORAGE, TASK_PROBLEMS, TASKS
from adaptery.client.connection import Connection, path_of
from adaptery.client.datasets import Datasets
from adaptery.client.embeddings import Embeddings, embed
from adaptery.client.jobs import Jobs
from adaptery.client.keys import Keys
from adaptery.client.listing import Listing, card
from adaptery.client.queues import Queues
from adaptery.client.tenants import Tenants
from adaptery.client.usage import Moment, UsageListing, fetch_audit, fetch_usage
from adaptery.client.verbs import Verbs
from adaptery.errors import InvalidInputError, NotAuthenticatedError
from adaptery.schemas.adapters import BaseModelCard
from adaptery.schemas.agents import Whoami
from adaptery.schemas.stores import Store
from adaptery.schemas.tasks import Task, TaskProblem
from adaptery.schemas.tenants import Storage
from adaptery.schemas.usage import AuditRow, UsageOf

__all__ = ["TOKEN_VARIABLE", "URL_VARIABLE", "Hub", "connect"]

#: Set by the spawner in each server.
URL_VARIABLE = "ADAPTERY_URL"
#: Set by JupyterHub in each server.
TOKEN_VARIABLE = "JUPYTERHUB_API_TOKEN"  # noqa: S105  (the name of a variable)

#: What a notebook shows as the way on from a connection.
LISTS = ("Datasets", "Jobs", "Adapters")


class Hub:
    """Adaptery as the caller sees it. Make it with `connect`; usable in a `with` block."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.datasets = Datasets(connection)
        self.jobs = Jobs(connection)
        self.adapters = Adapters(connection)
        self.agents = Agents(connection)
        self.queues = Queues(connection)
        self.keys = Keys(connection)
        #: For administrators.
        self.tenants = Tenants(connection)
        #: What the views ask; programs use the methods above.
        self.verbs = Verbs(connection)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Hub {self.url}>"

    def _repr_html_(self) -> str:
        # Nothing is asked for: a thing that is shown does not wait for the network.
        facts = [("Service", self.url), *((what, f"hub.{what.lower()}.list()") for what in LISTS)]
        return card("Adaptery", facts)

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._connection.url

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def whoami(self) -> Whoami:
        """Return who the service takes the caller for, and what the token may do.

        Raises:
            NotAuthenticatedError: if the token is not valid.
            AdapteryError: what the service raised.
        """
        return self._connection.get("api/whoami", Whoami)

    def store(self) -> Store:
        """Return where published files lie, and what was proved of that place.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.get("api/stores", Store)

    def storage(self) -> Listing[Storage]:
        """Return what the caller and the caller's groups store, and how much they may.

        Raises:
            AdapteryError: what the service raised.
        """
        found = self._connection.pages("api/storage", Storage, lambda account: account.tenant)
        return Listing(found, "account", STORAGE)

    def base_models(self) -> Listing[BaseModelCard]:
        """Return the registered base models.

        Raises:
            AdapteryError: what the service raised.
        """
        found = self._connection.pages("api/base-models", BaseModelCard, lambda model: model.id)
        return Listing(found, "base model", BASE_MODELS, "An administrator registers them.")

    def tasks(self) -> Listing[Task]:
        """Return the tasks that jobs can be made of, each with the schema of its options.

        Raises:
            AdapteryError: what the service raised.
        """
        found = self._connection.pages("api/tasks", Task, lambda task: task.name)
        return Listing(found, "task", TASKS, "An administrator writes them.")

    def task_problems(self) -> Listing[TaskProblem]:
        """Return what is wrong with task files; their tasks go on as they were.

        Raises:
            NotAllowedError: the caller is no administrator.
            AdapteryError: what the service raised.
        """
        found = self._connection.pages(
            "api/tasks/problems", TaskProblem, lambda problem: problem.where
        )
        return Listing(found, "problem", TASK_PROBLEMS, "All task files are sound.")

    def task(self, name: str) -> Task:
        """Return a task by name.

        Raises:
            NotFoundError: if there is none that the caller may use.
            AdapteryError: what the service raised.
        """
        return self._connection.get(path_of("api", "tasks", name), Task)

    def models(self) -> list[str]:
        """Return the names that `chat` takes: base models and the adapters that the caller may use.

        Raises:
            AdapteryError: what the service raised.
        """
        answer = self._connection.send("GET", "v1/models").json()
        chats = (model for model in answer["data"] if model.get("kind") != "embedding")
        return [str(model["id"]) for model in chats]

    def embed(self, texts: Sequence[str], model: str = "") -> Embeddings:
        """Return one vector for each text, however many there are.

        Warns if texts are longer than what the model reads: their vectors stand for the beginning.

        Args:
            texts: what to embed; a single text is a list of one.
            model: the name of an embedding model; "" is the default one.

        Raises:
            InvalidInputError: if a text is empty or no text; it is named by its place.
            NotFoundError: if there is no such embedding model.
            AdapteryError: what the service raised.
        """
        return embed(self._connection, texts, model)

    def usage(
        self,
        by: str | Sequence[str] = "day",
        *,
        days: int = 30,
        of: UsageOf = "mine",
        since: Moment | None = None,
        until: Moment | None = None,
        adapter: str | None = None,
        key: str | None = None,
    ) -> UsageListing:
        """Return what requests cost, added up; the last quarter of a second may be missing.

        Args:
            by: what is told apart: `day`, `hour`, `key`, `adapter`, `base_model`, `kind`,
                `channel`; of everyone also `user` and `owner`; several, or `total`.
            days: how many days, today included.
            of: `mine`; `adapters`, those the caller manages: how much, by the day, not by whom; or
                `everyone`, for administrators.
            since: the first day or moment, in place of `days`.
            until: the last day, or the moment before which it ends; now, if absent.
            adapter: only with this adapter: an id.
            key: only by this own key: an id.

        Raises:
            InvalidInputError: if it cannot be told so, or the time is too long.
            NotAllowedError: if it is not the caller's to see.
            AdapteryError: what the service raised.
        """
        return fetch_usage(self._connection, by, days, of, since, until, adapter, key)

    def audit(
        self,
        *,
        limit: int = 200,
        actor: str | None = None,
        thing: str | None = None,
        action: str | None = None,
        request: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Listing[AuditRow]:
        """Return what was done, newest first; for administrators.

        Args:
            limit: how many rows at most.
            actor: who did it: `@user`, a group, or a tenant's id.
            thing: with which thing: an id.
            action: what, such as `infer` or `key.create`.
            request: in which request: an id.
            since: the first day or moment.
            until: the last day, or the moment before which it ends.

        Raises:
            NotAllowedError: if the caller is no administrator.
            AdapteryError: what the service raised.
        """
        return fetch_audit(self._connection, limit, actor, thing, action, request, since, until)

    def base_of(self, model: str) -> str | None:
        """Return the base model that an adapter was made for; None for a base model.

        Raises:
            NotFoundError: if the model does not exist or is not the caller's to use.
            AdapteryError: what the service raised.
        """
        path = path_of("v1", "models", *model.split("/"))
        return self._connection.send("GET", path).json().get("parent")

    def is_sealed(self, model: str) -> bool:
        """Say whether a model is restricted: what is asked of it is sealed, and only then answered.

        Raises:
            NotFoundError: if the model does not exist or is not the caller's to use.
            AdapteryError: what the service raised.
        """
        path = path_of("v1", "models", *model.split("/"))
        return self._connection.send("GET", path).json().get("channel") == "sealed"

    @overload
    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        stream: Literal[True] = True,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: list[str] | None = None,
        sealed: bool = False,
    ) -> ChatStream: ...

    @overload
    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        stream: Literal[False],
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: list[str] | None = None,
        sealed: bool = False,
    ) -> ChatAnswer: ...

    def chat(
        self,
        model: str,
        messages: Messages,
        *,
        stream: bool = True,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: list[str] | None = None,
        sealed: bool = False,
    ) -> ChatStream | ChatAnswer:
        """Ask a base model or an adapter.

        Args:
            model: a name as `models` gives it; "" is the default base model.
            messages: a text, or messages of role and content.
            stream: whether to return at once with an answer to iterate over.
            max_tokens: the most tokens to make.
            temperature: 0 is greedy.
            top_p: nucleus sampling.
            seed: makes sampling repeatable.
            stop: texts that end the answer.
            sealed: whether the service must not be able to read this, whatever the model; what is
                asked of a restricted adapter never is readable to it.

        Raises:
            InvalidInputError: if the model is not a name.
            MissingExtraError: if it has to be sealed, and `adaptery[sealed]` is not installed.
            NotFoundError: if the model does not exist or is not the caller's to use.
            AdapteryError: what the service raised; for a stream, while it is iterated over.
        """
        if not isinstance(model, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            # The adapter of a job that made none is None; the default base would answer instead.
            raise InvalidInputError(
                "No model is named.", hint='name an adapter, or "" for the default base model'
            )
        options = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
            "stop": stop,
            "sealed": True if sealed else None,
        }
        body = chat_request(model, messages, options, stream=stream)
        return ChatStream(self._connection, body) if stream else complete(self._connection, body)


def connect(
    url: str | None = None,
    token: str | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
) -> Hub:
    """Return a client of the service; no request is sent yet.

    Args:
        url: the address of the service, ending in `/services/adaptery/`; `ADAPTERY_URL` if absent.
        token: a token of the Hub; `JUPYTERHUB_API_TOKEN` if absent.
        transport: another way to send requests, for tests.

    Raises:
        InvalidInputError: if no address is known, or it is not http(s).
        NotAuthenticatedError: if no token is known.
    """
    url = url or os.environ.get(URL_VARIABLE)
    if not url:
        raise InvalidInputError(
            f"The address of Adaptery is not known: {URL_VARIABLE} is not set.",
            hint=f"start this in a server of the Hub, or set {URL_VARIABLE} (in Python: url=), such"
            " as https://hub.example.edu/services/adaptery/",
        )
    if not url.startswith(("http://", "https://")):
        raise InvalidInputError("The address of Adaptery must begin with http:// or https://.")
    token = token or os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise NotAuthenticatedError(
            f"There is no token: {TOKEN_VARIABLE} is not set.",
            hint=f"start this in a server of the Hub, or set {TOKEN_VARIABLE} (in Python: token=)"
            " to a token of the Hub's token page",
        )
    return Hub(Connection(url, token, transport))
