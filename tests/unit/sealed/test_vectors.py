"""The published vectors: written by a second implementation, opened by the product."""

import json
from datetime import timedelta

from adaptery import times
from adaptery.sealed import (
    FrameReader,
    FrameWriter,
    PieceReader,
    ReplyKey,
    Session,
    derive_cancel_key,
    derive_session_key,
    open_card,
    open_grant,
    open_heartbeat,
    open_receipt,
    open_terms,
    sign_card,
    sign_grant,
    sign_heartbeat,
    sign_receipt,
    write_piece,
)
from support import sealed_parties as parties
from support import sealed_reference as reference

VECTORS = json.loads(reference.VECTORS.read_text())
REPLY_KEY = ReplyKey(bytes.fromhex(VECTORS["reply_key"]))
FRAMES = [bytes.fromhex(text) for text in VECTORS["frames"]]


def test_the_published_vectors_are_what_the_reference_makes():
    assert reference.build() == VECTORS


def test_the_request_of_another_implementation_opens():
    opener = parties.opener(parties.Clock())
    opened = opener.open(
        bytes.fromhex(VECTORS["request"]), VECTORS["subject"], VECTORS["reply"], "infer"
    )
    assert opened.body == {"path": "chat/completions"}
    assert opened.grant == parties.grant()
    assert opened.reply_key == REPLY_KEY


def test_the_channel_of_another_implementation_opens_and_carries():
    opener, vector = parties.opener(parties.Clock()), VECTORS["channel"]
    for name in ("opened_by", "request"):
        opened = opener.open(
            bytes.fromhex(vector[name]), VECTORS["subject"], VECTORS["reply"], "infer"
        )
        assert opened.body == {"path": "chat/completions"}
        assert opened.grant == parties.grant()


def test_grants_and_cards_are_equal_to_the_byte():
    assert sign_grant(parties.grant(), parties.SERVICE) == VECTORS["grant"]
    assert sign_card(parties.card(), parties.SERVICE) == VECTORS["card"]
    service = parties.SERVICE.verify_key
    assert open_grant(VECTORS["grant"], service, parties.START) == parties.grant()
    assert open_card(VECTORS["card"], service, parties.START) == parties.card()


def test_frames_are_equal_to_the_byte_and_open():
    writer = FrameWriter(REPLY_KEY, VECTORS["reply"])
    written = [
        writer.data({"text": "hello"}),
        writer.usage({"completion_tokens": 1}),
        writer.error({"code": "engine_busy", "status": 503}),
        writer.end(),
    ]
    assert written == FRAMES
    reader = FrameReader(REPLY_KEY, VECTORS["reply"])
    frames = [reader.feed(payload) for payload in FRAMES]
    assert [frame and frame.type for frame in frames] == ["data", "usage", "error", "end"]
    assert reader.finished


def test_the_cancel_is_equal_to_the_byte():
    assert REPLY_KEY.seal_cancel(VECTORS["reply"]).hex() == VECTORS["cancel"]
    assert REPLY_KEY.is_cancel(bytes.fromhex(VECTORS["cancel"]), VECTORS["reply"])


def test_session_messages_open():
    vector = VECTORS["session"]
    key = derive_session_key(bytes.fromhex(vector["master"]), vector["id"], parties.AGENT)
    assert key.hex() == vector["key"]
    session = Session(key, vector["id"])
    up = session.open("up", vector["subject"], bytes.fromhex(vector["up"]))
    assert (up.header, up.blob) == ({"op": "list"}, b"")
    assert up.sent_at == parties.START + timedelta(milliseconds=123)
    down = session.open("down", vector["subject"], bytes.fromhex(vector["down"]), answers=up.nonce)
    assert (down.header, down.blob) == ({"files": []}, b"blob")


def test_the_heartbeat_is_equal_to_the_byte():
    document = {"agent": parties.AGENT, "seq": 7, "at": reference.STAMP}
    assert sign_heartbeat(document, parties.IDENTITY).decode() == VECTORS["heartbeat"]
    now = times.from_text(reference.STAMP)
    payload = VECTORS["heartbeat"].encode()
    assert open_heartbeat(payload, parties.IDENTITY.verify_key, now) == document


def test_what_a_client_seals_in_another_implementation_opens_here():
    client = VECTORS["client"]
    terms = open_terms(client["terms"], parties.OWNER, parties.AGENT, parties.SEALING)
    assert terms.body == {"path": "completions"}
    master = bytes.fromhex(VECTORS["session"]["master"])
    assert terms.canceller() == derive_cancel_key(master, parties.grant().nonce)
    assert terms.canceller().raw.hex() == client["cancel_key"]
    granted = parties.grant(agent=parties.AGENT, terms=client["terms"])
    assert sign_grant(granted, parties.SERVICE) == client["grant"]
    opener = parties.opener(parties.Clock())
    request = bytes.fromhex(client["request"])
    opened = opener.open(request, VECTORS["subject"], VECTORS["reply"], "infer")
    assert opened.grant == granted and opened.terms == terms
    assert opened.body == {"path": "completions"}, "the terms win over the caller"


def test_receipts_and_pieces_are_equal_to_the_byte():
    client = VECTORS["client"]
    receipt = open_receipt(bytes.fromhex(client["receipt"]), parties.IDENTITY.verify_key)
    counts = (receipt.prompt_tokens, receipt.completion_tokens, receipt.outcome)
    assert counts == (3, 2, "completed") and receipt.grant == parties.grant().nonce
    assert sign_receipt(receipt, parties.IDENTITY).hex() == client["receipt"]
    wire = write_piece("frame", FRAMES[0]) + write_piece("problem", b"{}")
    assert wire.hex() == client["pieces"]
    pieces = list(PieceReader().feed(wire))
    assert [piece.payload for piece in pieces] == [FRAMES[0], b"{}"]
