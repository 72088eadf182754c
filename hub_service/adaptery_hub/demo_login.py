"""A login for trying Adaptery on one machine: a few users, each with a password of their own.

Not for an institution: use OAuthenticator there. Passwords are random, kept in a file that only the
Hub's OS account reads, and shown by `make demo`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Dict, Unicode

#: 12 random bytes as text: 16 characters, easy to paste, impossible to guess.
_PASSWORD_BYTES = 12


class DemoAuthenticator(Authenticator):
    """Lets in the users of `passwords`, each with their own password."""

    passwords = Dict(value_trait=Unicode(), key_trait=Unicode(), help="User name to password.").tag(
        config=True
    )

    async def authenticate(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, handler: object, data: Any
    ) -> str | None:  # the Hub's own declaration lacks a return type
        """Return the user's name when the password is theirs, else None."""
        name = str(data.get("username", ""))
        given = str(data.get("password", ""))
        # An unknown name is compared too, so that time does not tell who exists.
        known = self.passwords.get(name, secrets.token_urlsafe(_PASSWORD_BYTES))
        right = secrets.compare_digest(known.encode(), given.encode())
        return name if right and name in self.passwords else None


def demo_passwords(path: Path, users: Iterable[str]) -> dict[str, str]:
    """Return each user's password from `path`, making and storing those that are missing."""
    stored: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    passwords = {user: stored.get(user) or secrets.token_urlsafe(_PASSWORD_BYTES) for user in users}
    if passwords != stored:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(json.dumps(passwords, indent=1))
    return passwords
