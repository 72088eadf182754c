"""Sealed messages: what a broker carries and cannot read. Pure functions and small objects, no I/O.

    documents ← suites ─┐
        ↑               ├─ envelopes (requests) ← openers
        ├── refusals ───┤  channels (more of them, under one key)
        │               ├─ frames (replies)     cards (who an agent is)
        └── cards, grants, frames               grants (who may do what)
                                                terms (of a grant, for one agent alone)
                                                sessions (service and one agent)
                                                heartbeats, receipts (signed, not sealed)
                                                pieces (a reply over HTTP)
                                                tickets (of jobs, signed, not sealed)

The wire format is specified in `network/protocol.md`; `tests/unit/sealed/vectors.json` holds test
vectors. Importing this package needs `cryptography` (the extras `sealed`, `notebook`, `hub` and
`agent` bring it).
"""

from adaptery.sealed.cards import AgentCard, open_card, sign_card
from adaptery.sealed.channels import ChannelKey
from adaptery.sealed.documents import JsonObject
from adaptery.sealed.envelopes import (
    new_nonce,
    request_info,
    seal_in_channel,
    seal_request,
    signed_bytes,
)
from adaptery.sealed.frames import CANCEL, Frame, FrameReader, FrameType, FrameWriter, ReplyKey
from adaptery.sealed.grants import Grant, Verb, open_grant, sign_grant
from adaptery.sealed.heartbeats import open_heartbeat, sign_heartbeat
from adaptery.sealed.once import Once
from adaptery.sealed.openers import AgentIdentity, OpenedRequest, RequestOpener
from adaptery.sealed.pieces import Piece, PieceReader, write_piece
from adaptery.sealed.receipts import Receipt, is_receipt, open_receipt, sign_receipt
from adaptery.sealed.refusals import (
    NONCE_LIMIT,
    REFUSAL,
    WINDOW_SECONDS,
    Freshness,
    RefusalReason,
)
from adaptery.sealed.sessions import (
    Direction,
    Session,
    SessionMessage,
    derive_session_key,
    message_nonce,
    peek_session_id,
)
from adaptery.sealed.suites import MESSAGE_LIMIT_BYTES, SUITE, SealingKey, seal
from adaptery.sealed.terms import Terms, derive_cancel_key, open_terms, seal_terms
from adaptery.sealed.tickets import Ticket, open_ticket, sign_ticket

__all__ = [
    "CANCEL",
    "MESSAGE_LIMIT_BYTES",
    "NONCE_LIMIT",
    "REFUSAL",
    "SUITE",
    "WINDOW_SECONDS",
    "AgentCard",
    "AgentIdentity",
    "ChannelKey",
    "Direction",
    "Frame",
    "FrameReader",
    "FrameType",
    "FrameWriter",
    "Freshness",
    "Grant",
    "JsonObject",
    "Once",
    "OpenedRequest",
    "Piece",
    "PieceReader",
    "Receipt",
    "RefusalReason",
    "ReplyKey",
    "RequestOpener",
    "SealingKey",
    "Session",
    "SessionMessage",
    "Terms",
    "Ticket",
    "Verb",
    "derive_cancel_key",
    "derive_session_key",
    "is_receipt",
    "message_nonce",
    "new_nonce",
    "open_card",
    "open_grant",
    "open_heartbeat",
    "open_receipt",
    "open_terms",
    "open_ticket",
    "peek_session_id",
    "request_info",
    "seal",
    "seal_in_channel",
    "seal_request",
    "seal_terms",
    "sign_card",
    "sign_grant",
    "sign_heartbeat",
    "sign_receipt",
    "sign_ticket",
    "signed_bytes",
    "write_piece",
]
