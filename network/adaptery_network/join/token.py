"""The join token, and what a newcomer sends with it.

For: the two documents of the handshake. Not for the handshake itself (`desk`, `newcomer`).

What always holds:
- A token carries all that a newcomer must trust: the broker's address and the service's two public
  keys.
- Neither document is ever shown by `repr`.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from adaptery import base64url
from adaptery.errors import (
    IntegrityError,
    InvalidInputError,
)
from adaptery.sealed.documents import canonical, read_object
from adaptery_network.broker import NetworkIdentity

__all__ = ["Application", "JoinToken", "application_info", "mint_join_token"]

NONCE_BYTES: Final = 16

_PREFIX: Final = "adj_"
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, repr=False)
class JoinToken:
    """What an admin hands to a new agent. It is a secret until it is used."""

    url: str
    owner: str
    #: `jt_…`
    id: str
    secret: str
    jwt: str
    seed: str
    #: `ed25519:…`, signs the card
    issuer: str
    #: `x25519:…`, opens the join request
    service: str

    def __repr__(self) -> str:
        return f"JoinToken({self.id})"

    def to_text(self) -> str:
        """Return the token as `adj_…`, one word that can be pasted."""
        return _PREFIX + base64url.encode(canonical(asdict(self)))

    @classmethod
    def from_text(cls, text: str) -> JoinToken:
        """Return the token that the text holds.

        Raises:
            InvalidInputError: if it is not a join token.
        """
        try:
            document = read_object(base64url.decode(text.strip().removeprefix(_PREFIX)))
            return cls(**{key: str(value) for key, value in document.items()})
        except (ValueError, TypeError, IntegrityError):
            raise InvalidInputError(
                "This is not a join token.", hint="Paste it whole; it starts with adj_."
            ) from None


def mint_join_token(
    identity: NetworkIdentity, url: str, token_id: str, expires_at: datetime
) -> JoinToken:
    """Make a join token; the caller stores a digest of its `secret` and its end.

    Args:
        identity: the deployment.
        url: the broker's address as the new agent sees it.
        token_id: `jt_…`
        expires_at: when the broker stops accepting it, too.
    """
    credentials = identity.join_credentials(token_id, expires_at)
    return JoinToken(
        url=url,
        owner=identity.owner,
        id=token_id,
        secret=base64url.encode(secrets.token_bytes(_SECRET_BYTES)),
        jwt=credentials.jwt,
        seed=credentials.seed,
        issuer=identity.signing_key.public_text,
        service=identity.sealing_key.public_text,
    )


class Application(BaseModel):
    """What a newcomer sends, inside the seal."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: str
    secret: str
    #: the public nkey of the broker user that it made
    user_key: str
    identity_key: str
    sealing_key: str
    capabilities: dict[str, object]
    reply_key: str
    sent_at: str
    nonce: str

    def __repr__(self) -> str:
        return f"Application({self.id})"


def application_info(owner: str) -> bytes:
    """Return the HPKE `info` that ties an application to one owner's join desk."""
    return f"adaptery/1|join|{owner}|service".encode()
