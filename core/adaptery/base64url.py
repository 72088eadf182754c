"""URL-safe base64 without padding, strict in both directions.

What always holds: each byte string has exactly one text form, and `decode` refuses every other
text, so a token cannot be altered without being noticed by whoever compares texts.
"""

from __future__ import annotations

import base64
import binascii

__all__ = ["decode", "encode"]


def encode(data: bytes) -> str:
    """Return the URL-safe base64 text of the bytes, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the bytes that the text encodes.

    Raises:
        ValueError: if the text is not what `encode` gives for any bytes.
    """
    try:
        raw = text.encode("ascii")
        data = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as exc:
        raise ValueError("not URL-safe base64") from exc
    if encode(data) != text:
        raise ValueError("not the shortest URL-safe base64 form")
    return data
