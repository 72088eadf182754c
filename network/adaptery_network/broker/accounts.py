"""Changing a running broker: pushing the account's JWT, and with it revocations.

For: what the system account's user does. Not for minting (`identity`). The holder of these
credentials could lock everyone out (a wrong JWT is accepted and believed until the next restart),
so:

What always holds:
- Only a JWT that our operator signed, for our account, is ever pushed.
- After a push the broker is asked what it holds, and only the same JWT counts as success.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final, cast

from adaptery.errors import IntegrityError, UnavailableError
from adaptery_network.broker import jwts
from adaptery_network.broker.identity import NetworkIdentity
from adaptery_network.broker.permissions import SYSTEM_INBOX
from adaptery_network.nats_transport import NatsTransport
from adaptery_network.transport import Transport

__all__ = ["push_account", "revoke_user"]

logger = logging.getLogger(__name__)

PUSH_SECONDS: Final = 5.0
_ACCEPTED: Final = 200


async def push_account(identity: NetworkIdentity, url: str, *, tls_ca: Path | None = None) -> None:
    """Give the broker the account's JWT of now; connections of revoked users end.

    The service does this at its start too, so that whatever was pushed before is put right.

    Raises:
        UnavailableError: if the broker cannot be reached or does not take it.
        IntegrityError: if the broker then holds another JWT than the one pushed.
    """
    jwt = identity.account_jwt()
    _check(jwt, identity)
    transport = await NatsTransport.connect(
        url, identity.system_credentials(), inbox_prefix=SYSTEM_INBOX, tls_ca=tls_ca
    )
    try:
        await _push(transport, jwt)
        await _confirm(transport, identity.account_key, jwt)
    finally:
        await transport.close()


async def revoke_user(
    identity: NetworkIdentity, url: str, user_key: str, *, tls_ca: Path | None = None
) -> None:
    """Revoke a user of the account for good and cut its live connection.

    Raises:
        UnavailableError: if the broker cannot be reached; the revocation is on disk and goes out
            with the next push or start of the broker.
        IntegrityError: if the broker then holds another JWT than the one pushed.
    """
    identity.revoke(user_key)
    await push_account(identity, url, tls_ca=tls_ca)


def _check(jwt: str, identity: NetworkIdentity) -> None:
    claims = jwts.verify(jwt, identity.operator_key)
    if claims.get("sub") != identity.account_key:
        raise IntegrityError("Refused to push the JWT of another account.")


async def _push(transport: Transport, jwt: str) -> None:
    answer = await transport.request("$SYS.REQ.CLAIMS.UPDATE", jwt.encode(), PUSH_SECONDS)
    document = cast("dict[str, dict[str, object]]", json.loads(answer.payload))
    if document.get("data", {}).get("code") != _ACCEPTED:
        logger.error("the broker did not take the account JWT: %s", document.get("error"))
        raise UnavailableError("The broker did not take the account JWT.")


async def _confirm(transport: Transport, account: str, jwt: str) -> None:
    subject = f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"
    answer = await transport.request(subject, b"", PUSH_SECONDS)
    if answer.payload.decode() != jwt:
        raise IntegrityError("The broker holds another account JWT than the one pushed.")
