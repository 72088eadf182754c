"""What the headers of a request say: an own key, how long the body is, whether it waits for us."""

from __future__ import annotations

import re

from tornado.httputil import HTTPServerRequest

from adaptery import key_secrets

#: The schemes that JupyterHub takes, before something that can only be meant as an own key.
_KEY_HEADER = re.compile(rf"(?:bearer|token)\s+({key_secrets.PREFIX}.*)", re.IGNORECASE)


def key_secret(request: HTTPServerRequest) -> str | None:
    """Return the own key that came as the token of a request; None if it is something else."""
    match = _KEY_HEADER.fullmatch(request.headers.get("Authorization", ""))
    return match[1] if match else None


def waits_for_our_word(request: HTTPServerRequest) -> bool:
    """Whether the sender holds the body back until the request is accepted."""
    return request.headers.get("Expect", "").lower() == "100-continue"


def content_length(text: str | None) -> int:
    """Return the value of a `Content-Length` header; 0 if there is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0
