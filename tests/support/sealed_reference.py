"""The wire format written a second time, from `network/protocol.md` and RFC 9180 alone.

It shares no code with `adaptery.sealed` and takes fixed ephemeral keys, so that every byte is
known. Run it to write `vectors.json` anew after a deliberate change of the protocol: `python
tests/support/sealed_reference.py`
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

VECTORS = Path(__file__).parents[1] / "unit" / "sealed" / "vectors.json"

OWNER = "ow_01j00000000000000000000001"
AGENT = "ag_01j00000000000000000000002"
SUBJECT = f"ad.{OWNER}.infer.{AGENT}"
REPLY = "_INBOX_service.AAAAAAAAAAAAAAAAAAAAAA"
SERVICE_SEED, CALLER_SEED, IDENTITY_SEED = b"\x01" * 32, b"\x03" * 32, b"\x04" * 32
SEALING_SEED, EPHEMERAL_SEED = b"\x05" * 32, b"\x06" * 32
REPLY_KEY, MASTER, REQUEST_NONCE = b"\x07" * 32, b"\x08" * 32, b"\x09" * 16
GRANT_NONCE = "A" * 22
CHANNEL_ID, CHANNEL_KEY, CHANNEL_NONCE = b"\x0c" * 16, b"\x0d" * 32, b"\x0e" * 16
SESSION_ID = "at_01j00000000000000000000005"
UP_NONCE, DOWN_NONCE = b"\x0a" * 12, b"\x0b" * 12
STAMP_MS = 1_777_896_000_123  # 2026-05-04T12:00:00.123Z
STAMP = "2026-05-04T12:00:00.123Z"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def plain(document: dict) -> bytes:
    # These documents hold ASCII and integers only, for which this is RFC 8785.
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def ed25519(seed: bytes) -> tuple[Ed25519PrivateKey, str]:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key, "ed25519:" + b64(key.public_key().public_bytes_raw())


def hkdf_extract(salt: bytes, material: bytes) -> bytes:
    return hmac.new(salt or bytes(32), material, hashlib.sha256).digest()


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hkdf_extract(salt, b"HPKE-v1" + suite + label + material)


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labeled = length.to_bytes(2) + b"HPKE-v1" + suite + label + info
    return hkdf_expand(key, labeled, length)


def hpke_seal(plaintext: bytes, receiver: X25519PublicKey, info: bytes) -> bytes:
    """RFC 9180, base mode, KEM 0x0020, KDF 0x0001, AEAD 0x0003, empty aad, first message."""
    ephemeral = X25519PrivateKey.from_private_bytes(EPHEMERAL_SEED)
    enc = ephemeral.public_key().public_bytes_raw()
    kem = b"KEM" + (0x20).to_bytes(2)
    prk = labeled_extract(kem, b"", b"eae_prk", ephemeral.exchange(receiver))
    context = enc + receiver.public_bytes_raw()
    shared = labeled_expand(kem, prk, b"shared_secret", context, 32)
    suite = b"HPKE" + b"".join(i.to_bytes(2) for i in (0x20, 0x01, 0x03))
    schedule = b"\x00" + labeled_extract(suite, b"", b"psk_id_hash", b"")
    schedule += labeled_extract(suite, b"", b"info_hash", info)
    secret = labeled_extract(suite, shared, b"secret", b"")
    key = labeled_expand(suite, secret, b"key", schedule, 32)
    nonce = labeled_expand(suite, secret, b"base_nonce", schedule, 12)
    return enc + ChaCha20Poly1305(key).encrypt(nonce, plaintext, b"")


def grant_token(more: dict | None = None) -> str:
    service, _ = ed25519(SERVICE_SEED)
    raw = plain(
        {
            "v": 1,
            "verb": "infer",
            "thing": "ad_01j00000000000000000000003",
            "weight_digest": "sha256:" + "0" * 64,
            "caller": "tn_01j00000000000000000000004",
            "caller_key": ed25519(CALLER_SEED)[1],
            "limits": {"max_tokens": 256},
            "not_after": "2026-05-04T12:01:00.000Z",
            "nonce": GRANT_NONCE,
            **(more or {}),
        }
    )
    return b64(raw) + "." + b64(service.sign(b"adaptery/1|grant|" + raw))


def cancel_key() -> bytes:
    info = f"adaptery/1|cancel|{GRANT_NONCE}".encode()
    return hkdf_expand(hkdf_extract(b"", MASTER), info, 32)


def terms() -> str:
    document = {"cancel_key": b64(cancel_key()), "body": {"path": "completions"}}
    receiver = X25519PrivateKey.from_private_bytes(SEALING_SEED).public_key()
    info = f"adaptery/1|terms|{OWNER}|{AGENT}".encode()
    return b64(hpke_seal(plain(document), receiver, info))


def client_grant() -> str:
    return grant_token({"agent": AGENT, "terms": terms()})


def receipt() -> bytes:
    identity, _ = ed25519(IDENTITY_SEED)
    document = {
        "grant": GRANT_NONCE,
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "outcome": "completed",
    }
    value = b64(identity.sign(b"adaptery/1|receipt|" + plain(document)))
    return b"\xfe" + json.dumps({**document, "signature": value}, separators=(",", ":")).encode()


def piece(kind: int, payload: bytes) -> bytes:
    return (1 + len(payload)).to_bytes(4) + bytes([kind]) + payload


def signed_card() -> dict:
    service, service_key = ed25519(SERVICE_SEED)
    sealing = X25519PrivateKey.from_private_bytes(SEALING_SEED).public_key()
    card = {
        "agent": AGENT,
        "owner": OWNER,
        "labels": ["phi", "site:north"],
        "capabilities": {"kinds": ["infer", "train"]},
        "identity_key": ed25519(IDENTITY_SEED)[1],
        "sealing_key": "x25519:" + b64(sealing.public_bytes_raw()),
        "issued_at": "2026-05-04T12:00:00.000Z",
        "not_after": "2026-05-05T12:00:00.000Z",
    }
    value = b64(service.sign(b"adaptery/1|card|" + plain(card)))
    return {"card": card, "signature": {"key": service_key, "value": value}}


def request(grant: str, more: dict | None = None) -> bytes:
    caller, _ = ed25519(CALLER_SEED)
    document = contents(grant, REQUEST_NONCE) | (more or {})
    receiver = X25519PrivateKey.from_private_bytes(SEALING_SEED).public_key()
    info = f"adaptery/1|infer|{OWNER}|{AGENT}".encode()
    sealed = hpke_seal(plain(document), receiver, info)
    return b"\x01" + sealed + caller.sign(bound("request") + sealed)


def contents(grant: str, nonce: bytes) -> dict:
    return {
        "grant": grant,
        "reply_key": b64(REPLY_KEY),
        "body": {"path": "chat/completions"},
        "sent_at": STAMP,
        "nonce": b64(nonce),
    }


def bound(label: str) -> bytes:
    result = f"adaptery/1|{label}|".encode() + b"\x01"
    for text in (SUBJECT.encode(), REPLY.encode()):
        result += len(text).to_bytes(2) + text
    return result


def channel_request(number: int) -> bytes:
    plaintext = json.dumps(contents(grant_token(), CHANNEL_NONCE), separators=(",", ":")).encode()
    aad = bound("channel") + f"adaptery/1|infer|{OWNER}|{AGENT}".encode()
    counter = number.to_bytes(8)
    sealed = ChaCha20Poly1305(CHANNEL_KEY).encrypt(bytes(4) + counter, plaintext, aad)
    return b"\x81" + CHANNEL_ID + counter + sealed


def frame(counter: int, kind: int, document: dict) -> bytes:
    nonce = bytes(4) + counter.to_bytes(8)
    plaintext = bytes([kind]) + plain(document)
    sealed = ChaCha20Poly1305(REPLY_KEY).encrypt(nonce, plaintext, REPLY.encode())
    return counter.to_bytes(8) + sealed


def cancel() -> bytes:
    nonce = b"\x00\x00\x00\x01" + bytes(8)
    return b"\x80" + ChaCha20Poly1305(REPLY_KEY).encrypt(nonce, b"", REPLY.encode())


def session_key() -> bytes:
    info = f"adaptery/1|session|{SESSION_ID}|{AGENT}".encode()
    return hkdf_expand(hkdf_extract(b"", MASTER), info, 32)


def session_message(direction: str, nonce: bytes, answers: bytes, head: dict, blob: bytes) -> bytes:
    subject = f"ad.{OWNER}.report.{AGENT}"
    header = plain(head)
    plaintext = STAMP_MS.to_bytes(8) + len(header).to_bytes(4) + header + blob
    aad = f"{direction}|{subject}|{SESSION_ID}|".encode() + answers
    sealed = ChaCha20Poly1305(session_key()).encrypt(nonce, plaintext, aad)
    return bytes([len(SESSION_ID)]) + SESSION_ID.encode() + nonce + sealed


def heartbeat() -> str:
    identity, _ = ed25519(IDENTITY_SEED)
    document = {"agent": AGENT, "seq": 7, "at": STAMP}
    value = b64(identity.sign(b"adaptery/1|health|" + plain(document)))
    return json.dumps({**document, "signature": value}, separators=(",", ":"))


def build() -> dict:
    """Return all vectors."""
    up = session_message("up", UP_NONCE, b"", {"op": "list"}, b"")
    down = session_message("down", DOWN_NONCE, UP_NONCE, {"files": []}, b"blob")
    return {
        "subject": SUBJECT,
        "reply": REPLY,
        "grant": grant_token(),
        "card": signed_card(),
        "request": request(grant_token()).hex(),
        "reply_key": REPLY_KEY.hex(),
        "frames": [
            frame(0, 0, {"text": "hello"}).hex(),
            frame(1, 1, {"completion_tokens": 1}).hex(),
            frame(2, 2, {"code": "engine_busy", "status": 503}).hex(),
            frame(3, 3, {}).hex(),
        ],
        "cancel": cancel().hex(),
        "session": {
            "master": MASTER.hex(),
            "id": SESSION_ID,
            "key": session_key().hex(),
            "subject": f"ad.{OWNER}.report.{AGENT}",
            "up": up.hex(),
            "down": down.hex(),
        },
        "channel": {
            "opened_by": request(grant_token(), {"channel": b64(CHANNEL_ID + CHANNEL_KEY)}).hex(),
            "request": channel_request(1).hex(),
        },
        "heartbeat": heartbeat(),
        "client": {
            "terms": terms(),
            "cancel_key": cancel_key().hex(),
            "grant": client_grant(),
            "request": request(client_grant()).hex(),
            "receipt": receipt().hex(),
            "pieces": (piece(0, frame(0, 0, {"text": "hello"})) + piece(1, b"{}")).hex(),
        },
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(build(), indent=2) + "\n")
