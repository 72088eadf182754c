"""Who is calling: from the Hub's answer about a token to the tenant the caller is.

The Hub says who (`HubModel`) through an `IdentitySource`; `Tenants` maps the names in it to our
tenant rows. Which scope an operation wants is said by the route table; rights are
`adaptery_hub.permissions`'s to know.

Invariants:

- The Hub is asked asynchronously; the event loop never waits for it.
- Groups and scopes are those of the Hub's answer to this request's token (cached at most 30 s), and
  are never read from our database. An own key has no Hub token: there the Hub is asked about its
  owner, and the scopes are the key's verbs.
- A user is a name and the time of its creation: whoever comes after a deleted one is another. The
  Hub that does not say when lets nobody in.
- No token, cookie or Hub error text leaves this module.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest
from typing import Any, Protocol, cast

from jupyterhub.services.auth import HubOAuth, HubOAuthenticated
from tornado.web import HTTPError, RequestHandler

from adaptery.errors import NotAllowedError, UnavailableError
from adaptery_hub import logs
from adaptery_hub.hub_users import HubUser, HubUsers
from adaptery_hub.token_owners import TokenOwners

logger = logging.getLogger(__name__)

#: The custom Hub scopes of this service end in one of the words below.
SCOPE_PREFIX = "custom:adaptery:"
SCOPES = frozenset({"read", "write", "infer", "admin"})
#: What one scope includes besides itself, as the Hub is told by `configuration.CUSTOM_SCOPES`.
SUBSCOPES: Mapping[str, frozenset[str]] = {"write": frozenset({"read"})}
#: How long the Hub's answer about a token is believed.
IDENTITY_CACHE_SECONDS = 30


@dataclass(frozen=True)
class HubModel:
    """What the Hub says about the owner of a token."""

    name: str
    kind: str  # user | service
    groups: tuple[str, ...]
    scopes: frozenset[str]  # the Hub's, unfiltered
    admin: bool = False
    token_kind: str = "token"  # noqa: S105 - session | token, not a secret
    created_at: datetime | None = None  # of a user; tells two of one name apart


@dataclass(frozen=True)
class KeyHold:
    """The own key that a request came with: it narrows its owner's rights to these adapters.

    It holds no rights itself. `permissions` asks the database in every statement whether the key is
    in force, by the hash of the secret that came, so that whoever asks again later (a running
    stream) learns of its end.
    """

    id: str
    secret_hash: str = field(repr=False)
    adapters: tuple[str, ...]  # ids
    tokens_per_day: int | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True)
class Identity:
    """The caller of one request, as this service knows them."""

    tenant_id: str
    hub_name: str
    slug: str
    groups: tuple[str, ...]  # Hub names
    group_tenants: tuple[str, ...]  # tenant ids, same order
    group_slugs: tuple[str, ...]  # same order
    scopes: frozenset[str]  # subset of SCOPES
    token_kind: str  # session | token | key
    kind: str = field(default="user")
    key: KeyHold | None = None  # of token_kind key

    @property
    def principals(self) -> tuple[str, ...]:
        """The tenants the caller acts for: own, then groups."""
        return (self.tenant_id, *self.group_tenants)

    def check_scope(self, scope: str) -> None:
        """Refuse a caller who lacks the scope of an operation, as the route table writes it.

        Raises:
            NotAllowedError: none of its words is among the caller's.
        """
        wanted = [word for word in scope.split("|") if word in SCOPES]
        if wanted and self.scopes.isdisjoint(wanted):
            names = " or ".join(SCOPE_PREFIX + word for word in wanted)
            raise NotAllowedError(
                f"This needs the scope {names}.",
                hint="Use a token that has it, or ask for the role.",
            )

    def check_verb(self, verb: str) -> None:
        """Refuse an own key that was not made for an operation.

        Raises:
            NotAllowedError: it lacks the verb.
        """
        if verb not in self.scopes:
            raise NotAllowedError(
                f"This needs a key that was made with the verb {verb!r}.",
                hint="Make one, or use a token of the Hub.",
            )


class IdentitySource(Protocol):
    """The port to whoever knows tokens: the Hub."""

    async def identify(self, handler: RequestHandler, *, fresh: bool) -> HubModel | None:
        """Return the model of the caller, or None if there is no valid token.

        Args:
            handler: the request; its headers and cookies hold the token.
            fresh: ask again instead of believing the cache.

        Raises:
            NotAllowedError: the token is known but does not reach this service.
            UnavailableError: the Hub did not answer.
        """
        ...

    async def user(self, hub_name: str) -> HubUser | None:
        """Return what the Hub says about a user now (cached as tokens are); None if there is none.

        Raises:
            UnavailableError: the Hub did not answer.
        """
        ...

    async def has_group(self, hub_name: str) -> bool:
        """Return whether the Hub has a group of this name now.

        Raises:
            UnavailableError: the Hub did not answer.
        """
        ...

    async def may_look(self) -> bool:
        """Return whether the Hub lets the service see all users and groups.

        Raises:
            UnavailableError: the Hub did not answer.
        """
        ...


class HubIdentities:
    """Asks JupyterHub, with the caller's own token; about owners of keys with the service's."""

    def __init__(self, hub_auth: HubOAuth) -> None:
        self._hub_auth = hub_auth
        self._users = HubUsers(hub_auth)
        self._owners = TokenOwners(self._user_of, self._users.ask)

    async def user(self, hub_name: str) -> HubUser | None:
        """See `IdentitySource.user`."""
        return await self._users.get(hub_name)

    async def has_group(self, hub_name: str) -> bool:
        """See `IdentitySource.has_group`."""
        return await self._users.has_group(hub_name)

    async def may_look(self) -> bool:
        """See `IdentitySource.may_look`."""
        return await self._users.may_look()

    async def identify(self, handler: RequestHandler, *, fresh: bool) -> HubModel | None:
        """See `IdentitySource.identify`."""
        assert isinstance(handler, HubOAuthenticated)
        _forget_answer(handler)
        try:
            # Awaited: `current_user` alone would block the loop while the Hub answers.
            answer = await _heard(self._hub_auth.get_user(handler, sync=False))
            if answer is not None and fresh:
                answer = await self._ask(self._token(handler))
            if answer is None:
                _check_session(handler)
                return None
            model = self._model(cast("Mapping[str, object]", answer), handler)
            if model.token_kind == "session" and not getattr(handler, "is_page", False):  # noqa: S105 - a word
                _check_xsrf(handler)
            if model.kind != "user":
                return model
            created_at = await self._owners.created_at(self._token(handler), model.name)
        except HTTPError as error:
            raise _no_answer() from error
        return None if created_at is None else replace(model, created_at=created_at)

    def _token(self, handler: RequestHandler) -> str:
        """Return the token that came; beside one that is not valid, a session is none."""
        return str(self._hub_auth.get_token(handler))

    async def _user_of(self, token: str) -> str | None:
        answer = await self._ask(token)
        return None if answer is None else str(answer["name"])

    async def _ask(self, token: str) -> Any:
        return await _heard(self._hub_auth.user_for_token(token, use_cache=False, sync=False))

    def _model(self, answer: Mapping[str, object], handler: RequestHandler) -> HubModel:
        scopes = frozenset(cast("Sequence[str]", answer.get("scopes") or ()))
        required = self._hub_auth.access_scopes
        if required and not self._hub_auth.check_scopes(required, {"scopes": scopes}):
            raise NotAllowedError(
                "This token does not reach this service.",
                hint="Make a token with the scope access:services!service=adaptery.",
            )
        return HubModel(
            name=str(answer["name"]),
            kind=str(answer.get("kind") or "user"),
            groups=tuple(sorted(cast("Sequence[str]", answer.get("groups") or ()))),
            scopes=scopes,
            admin=bool(answer.get("admin")),
            token_kind="token" if getattr(handler, "_token_authenticated", False) else "session",
        )


async def _heard(answer: Awaitable[Any]) -> Any:
    """Wait for what the Hub says.

    JupyterHub's client has an error of its own where the Hub cannot be reached, and lets those of
    its HTTP library and of its parser through where an answer breaks off.

    Raises:
        UnavailableError: there is no answer, or none that is whole.
    """
    try:
        return await answer
    except Exception as error:
        logs.log(logger, logging.WARNING, "hub_not_heard", exception=type(error).__name__)
        raise _no_answer() from error


def _no_answer() -> UnavailableError:
    return UnavailableError("JupyterHub did not answer who you are.", hint="Try again in a moment.")


def _forget_answer(handler: HubOAuthenticated) -> None:
    """Let HubAuth look at the token again: of one request it keeps the first answer for ever.

    What it keeps of the token itself, for `cache_max_age`, stays.
    """
    for name in ("_cached_hub_user", "_token_authenticated"):
        vars(handler).pop(name, None)


def _check_session(handler: HubOAuthenticated) -> None:
    """Tell a browser session that it was refused for want of its XSRF token."""
    try:
        handler.check_xsrf_cookie()
    except HTTPError:
        given = handler.hub_auth.get_token(handler, in_cookie=False)
        session = handler.hub_auth.get_token(handler)
        if session and not given:  # a token that is not valid is 401 instead
            raise _no_xsrf() from None


def _check_xsrf(handler: RequestHandler) -> None:
    """Look at the XSRF token of a session whatever kind of request this claims to be.

    JupyterHub lets page loads, WebSockets and reads of old browsers pass without.

    Raises:
        NotAllowedError: it is missing, or that of another session.
    """
    headers = handler.request.headers
    given = headers.get("X-XSRFToken") or handler.get_query_argument("_xsrf", None) or ""
    if not compare_digest(given.encode(), handler.xsrf_token):
        raise _no_xsrf()


def _no_xsrf() -> NotAllowedError:
    return NotAllowedError(
        "A browser session must send its XSRF token.",
        hint="Send the cookie _xsrf of this service as the header X-XSRFToken.",
    )


def service_scopes(hub_scopes: frozenset[str]) -> frozenset[str]:
    """Return this service's scopes among the Hub's, with what each includes."""
    own = {
        scope.removeprefix(SCOPE_PREFIX) for scope in hub_scopes if scope.startswith(SCOPE_PREFIX)
    }
    known = own & SCOPES
    return frozenset(known.union(*(SUBSCOPES.get(scope, frozenset()) for scope in known)))
