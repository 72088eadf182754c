"""Own keys, for programs outside the Hub."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from adaptery.client.columns import KEYS
from adaptery.client.connection import Connection, path_of
from adaptery.client.listing import Listing
from adaptery.schemas.common import parse
from adaptery.schemas.keys import Key, KeyCreate, KeyRotate, NewKey

__all__ = ["Keys"]


class Keys:
    """The caller's own keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, everyone: bool = False) -> Listing[Key]:
        """Return the caller's keys, newest first, also those that have ended; never a secret.

        Args:
            everyone: the keys of all users; for administrators.

        Raises:
            NotAllowedError: if the keys of everyone are not the caller's to see.
            AdapteryError: what the service raised.
        """
        query = {"of": "everyone"} if everyone else {}
        found = self._connection.pages("api/keys", Key, lambda key: key.id, query)
        return Listing(found, "key", KEYS, "create() makes one.")

    def create(
        self,
        name: str,
        adapters: Sequence[str],
        *,
        verbs: Sequence[str] = ("infer", "read"),
        expires_in_days: int | None = None,
        tokens_per_day: int | None = None,
        requests_per_minute: int | None = None,
    ) -> NewKey:
        """Make a key and return it with its `secret`, which is shown only here.

        Args:
            name: what the caller calls it.
            adapters: names or ids; without a version, the newest one now.
            verbs: `infer` asks the adapters, `read` lists them, `embed` asks embedding models.
            expires_in_days: the administrator's limit if absent.
            tokens_per_day: no limit if absent.
            requests_per_minute: no limit if absent.

        Raises:
            InvalidInputError: if a field is not one that the service takes.
            NotFoundError: if there is no such adapter, or it is not the caller's to use.
            AdapteryError: what the service raised.
        """
        # A lone text is a sequence of letters.
        names: builtins.list[str] = [adapters] if isinstance(adapters, str) else [*adapters]
        wanted = {
            "name": name,
            "adapters": names,
            "verbs": [*verbs],
            "expires_in_days": expires_in_days,
            "tokens_per_day": tokens_per_day,
            "requests_per_minute": requests_per_minute,
        }
        body = parse(KeyCreate, wanted)
        return self._connection.post("api/keys", NewKey, body.model_dump(mode="json"))

    def rotate(self, key: str, *, overlap_minutes: int = 0) -> NewKey:
        """Give a key a new secret and return it; it is shown only here.

        Args:
            key: an id.
            overlap_minutes: how long the present secret goes on working; at most a day.

        Raises:
            NotFoundError: if the caller has no such key.
            ConflictError: if the key has ended.
            AdapteryError: what the service raised.
        """
        body = parse(KeyRotate, {"overlap_minutes": overlap_minutes})
        path = path_of("api", "keys", key, "rotate")
        return self._connection.post(path, NewKey, body.model_dump(mode="json"))

    def revoke(self, key: str) -> None:
        """End a key: its next request fails, and its running answers end.

        Raises:
            NotFoundError: if the caller has no such key.
            AdapteryError: what the service raised.
        """
        self._connection.send("DELETE", path_of("api", "keys", key))
