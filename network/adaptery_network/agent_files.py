"""What an agent keeps of its joining: keys, card, and where to dial.

For: writing and reading the folder `identity/` in an agent's state folder. Not for making its
contents (`join`).

What always holds:
- Every file has mode 0600; `membership.json` is written last, so a folder with it is whole.
- The card is checked under the issuer each time it is read.

    signing.key  sealing.key     the agent's own private keys user.nk  user.jwt            its user
    at the broker card.json                    the signed card membership.json              {"url",
    "issuer", "service"}: the broker, and the keys of the service
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from adaptery.errors import IntegrityError, NotFoundError
from adaptery.files import write_atomic
from adaptery.sealed import AgentCard, AgentIdentity, JsonObject, SealingKey, open_card
from adaptery.sealed.documents import read_object
from adaptery.signing import SigningKey, VerifyKey
from adaptery_network import subjects
from adaptery_network.transport import Credentials

__all__ = ["AgentFiles"]

_FOLDER: Final = "identity"


@dataclass(frozen=True)
class AgentFiles:
    """An agent that has joined."""

    url: str
    issuer: VerifyKey
    #: `x25519:…` of the service
    service: str
    signed_card: JsonObject = field(repr=False)
    card: AgentCard
    signing_key: SigningKey = field(repr=False)
    sealing_key: SealingKey = field(repr=False)
    credentials: Credentials = field(repr=False)

    @property
    def inbox_prefix(self) -> str:
        """Where the broker lets this agent receive answers."""
        return subjects.inbox_prefix(self.card.agent)

    @property
    def identity(self) -> AgentIdentity:
        """Who opens sealed requests here."""
        return AgentIdentity(self.card.owner, self.card.agent, self.sealing_key)

    def write(self, state_dir: Path) -> None:
        """Keep the agent under `state_dir`.

        Raises:
            OSError: if a file cannot be written.
        """
        folder = state_dir / _FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.signing_key.write_seed_file(folder / "signing.key")
        write_atomic(folder / "sealing.key", self.sealing_key.to_bytes(), 0o600)
        write_atomic(folder / "user.nk", self.credentials.seed.encode(), 0o600)
        write_atomic(folder / "user.jwt", self.credentials.jwt.encode(), 0o600)
        write_atomic(folder / "card.json", json.dumps(self.signed_card).encode(), 0o600)
        membership = {"url": self.url, "issuer": self.issuer.text, "service": self.service}
        write_atomic(folder / "membership.json", json.dumps(membership).encode(), 0o600)

    @classmethod
    def exist(cls, state_dir: Path) -> bool:
        """Tell whether an agent has joined here."""
        return (state_dir / _FOLDER / "membership.json").exists()

    @classmethod
    def load(cls, state_dir: Path, now: datetime) -> AgentFiles:
        """Return the agent kept under `state_dir`.

        Raises:
            NotFoundError: if none has joined here.
            IntegrityError: if a file does not hold what it should, or the card has ended.
            OSError: if a file cannot be read.
        """
        if not cls.exist(state_dir):
            raise NotFoundError("No agent has joined here.", hint="Run `adaptery agent join`.")
        folder = state_dir / _FOLDER
        membership = read_object((folder / "membership.json").read_bytes())
        issuer = VerifyKey.from_text(str(membership.get("issuer")))
        signed_card = read_object((folder / "card.json").read_bytes())
        card = open_card(signed_card, issuer, now)
        signing_key = SigningKey.from_seed_file(folder / "signing.key")
        sealing_key = SealingKey.from_bytes((folder / "sealing.key").read_bytes())
        keys = (signing_key.public_text, sealing_key.public_text)
        if keys != (card.identity_key, card.sealing_key):
            raise IntegrityError("The card is for other keys than those kept here; join again.")
        return cls(
            url=str(membership.get("url")),
            issuer=issuer,
            service=str(membership.get("service")),
            signed_card=signed_card,
            card=card,
            signing_key=signing_key,
            sealing_key=sealing_key,
            credentials=Credentials(
                (folder / "user.jwt").read_text(), (folder / "user.nk").read_text()
            ),
        )
