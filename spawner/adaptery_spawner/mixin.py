"""The mixin that adds Adaptery to any Spawner class.

It hands a single-user server three variables: where the service is (`ADAPTERY_URL`), and for OpenAI
clients `OPENAI_BASE_URL` with a *narrow* `OPENAI_API_KEY`. It takes no hook slot of the admin
(`pre_spawn_hook`, `options_form` and the like stay free) and changes no other variable.

Invariants:
1. The narrow token can reach the service and ask for inference; it can neither start nor reach any
   server, because users send it wherever they point `base_url`.
2. One narrow token lives per server: minted at its start, dead after it stopped or failed to start.
"""

from __future__ import annotations

from typing import Any

from jupyterhub import orm
from traitlets import Int, Unicode, default
from traitlets.config import Configurable

#: What a single-user server itself may do at the Hub (the Hub's default) and at the service.
_SERVER_SCOPES = ("users:activity!user", "access:servers!server")


class AdapterySpawnerMixin(Configurable):
    """Adds Adaptery's variables and token to a Spawner; stands first in the bases."""

    adaptery_url = Unicode(
        help="""
        Address of the Adaptery service as seen *from a single-user server*, ending in
        `/services/adaptery/`. Usually the Hub's public address.
        """
    ).tag(config=True)

    adaptery_service = Unicode(
        "adaptery", help="Name of the Hub service that servers may reach."
    ).tag(config=True)

    narrow_token_seconds = Int(
        14 * 24 * 3600,
        min=60,
        help="""
        Longest life of the narrow token that a server gets as OPENAI_API_KEY, in seconds.
        It dies earlier when the server stops.
        """,
    ).tag(config=True)

    _narrow_token_id: int | None = None
    _narrow_token: str | None = None

    @default("server_token_scopes")
    def _default_server_token_scopes(self) -> list[str]:
        return [
            *_SERVER_SCOPES,
            f"access:services!service={self.adaptery_service}",
            "custom:adaptery:write",
            "custom:adaptery:read",
            "custom:adaptery:infer",
        ]

    def get_env(self) -> dict[str, str]:
        """Return the server's environment with Adaptery's variables added."""
        env = super().get_env()  # type: ignore[misc]
        if self.adaptery_url:
            url = self.adaptery_url.rstrip("/")
            env["ADAPTERY_URL"] = f"{url}/"
            env["OPENAI_BASE_URL"] = f"{url}/v1"
            if self._narrow_token:
                env["OPENAI_API_KEY"] = self._narrow_token
        return env

    async def start(self) -> Any:
        """Start the server with a fresh narrow token, which dies if the start fails."""
        self._revoke_narrow_token()
        self._mint_narrow_token()
        try:
            return await super().start()  # type: ignore[misc]
        except BaseException:
            self._revoke_narrow_token()
            raise

    def clear_state(self) -> None:
        """Forget the stopped server and revoke its narrow token.

        The Hub calls this after every stop, crash and failed start.
        """
        self._revoke_narrow_token()
        super().clear_state()  # type: ignore[misc]

    def get_state(self) -> dict[str, Any]:
        """Return what survives a Hub restart, the narrow token's id (not the token) included."""
        state = super().get_state()  # type: ignore[misc]
        if self._narrow_token_id is not None:
            state["adaptery_narrow_token_id"] = self._narrow_token_id
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a server that outlived the Hub, so that its token can still be revoked."""
        super().load_state(state)  # type: ignore[misc]
        self._narrow_token_id = state.get("adaptery_narrow_token_id")

    def _mint_narrow_token(self) -> None:
        user = self.user.orm_user  # type: ignore[attr-defined]
        held = [
            f"access:services!service={self.adaptery_service}",
            "custom:adaptery:infer",
        ]
        token = user.new_api_token(
            scopes=held,
            expires_in=self.narrow_token_seconds,
            note=f"Adaptery inference for server {self._server_label()}",
        )
        row = orm.APIToken.find(self.db, token)  # type: ignore[attr-defined]
        self._narrow_token = token
        assert row is not None, "the Hub has just made this token"
        self._narrow_token_id = row.id

    def _revoke_narrow_token(self) -> None:
        token_id, self._narrow_token_id, self._narrow_token = self._narrow_token_id, None, None
        if token_id is None:
            return
        row = self.db.get(orm.APIToken, token_id)  # type: ignore[attr-defined]
        if row is not None:
            self.db.delete(row)  # type: ignore[attr-defined]
            self.db.commit()  # type: ignore[attr-defined]

    def _server_label(self) -> str:
        name = getattr(self, "name", "")
        return f"{self.user.name}/{name}"  # type: ignore[attr-defined]


def with_adaptery(base: type) -> type:
    """Return a Spawner class that is `base` plus Adaptery.

    For `wrapspawner`, mix into the child class: the wrapper runs the child's `get_env`.
    """
    bases = (AdapterySpawnerMixin, base)
    return type(f"Adaptery{base.__name__}", bases, {"__module__": __name__})
