"""The form of an upload, as OpenAI's clients send it: one file, its purpose, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tornado.httputil import HTTPFile, HTTPInputError, parse_body_arguments

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.times import now
from adaptery_hub.fine_tuning import PURPOSE

#: An hour to 30 days. Source: OpenAI API reference, upload file.
EXPIRY_SECONDS = range(3600, 2_592_001)


@dataclass(frozen=True)
class UploadForm:
    """An upload."""

    filename: str
    body: bytes
    sensitivity: str
    expires_at: datetime | None


def parse_form(content_type: str, body: bytes) -> UploadForm:
    """Read the form of an upload.

    Raises:
        InvalidInputError: it is none, or something is missing in it.
    """
    arguments: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    try:
        if content_type.startswith("multipart/form-data"):
            parse_body_arguments(content_type, body, arguments, files)
    except HTTPInputError:
        raise _wrong("body", "is no form that can be read.", "Send multipart/form-data.") from None
    found = files.get("file", [])
    if len(found) != 1:
        raise _wrong("file", "is missing.", "Send one file, as multipart/form-data.")
    words = {name: values[-1].decode("utf-8", "replace") for name, values in arguments.items()}
    if words.get("purpose") != PURPOSE:
        raise _wrong("purpose", "is not offered.", f"Use {PURPOSE}.")
    sensitivity = words.get("sensitivity", "internal")
    return UploadForm(found[0]["filename"], found[0]["body"], sensitivity, _expiry(words))


def _expiry(words: Mapping[str, str]) -> datetime | None:
    """Return when an upload is to be erased, as its form says.

    Raises:
        InvalidInputError: it says so in no way that is known.
    """
    said = {name: text for name, text in words.items() if name.startswith("expires_after")}
    if not said:
        return None
    seconds = said.get("expires_after[seconds]", "")
    known = set(said) == {"expires_after[anchor]", "expires_after[seconds]"}
    if not known or said["expires_after[anchor]"] != "created_at":
        raise _wrong("expires_after", "is not known.", "Send the anchor created_at, and seconds.")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 10):
        raise _wrong("expires_after.seconds", "is no number.", "Send a number of seconds.")
    if int(seconds) not in EXPIRY_SECONDS:
        first, last = EXPIRY_SECONDS[0], EXPIRY_SECONDS[-1]
        raise _wrong("expires_after.seconds", "is out of range.", f"Use {first} to {last}.")
    return now() + timedelta(seconds=int(seconds))


def _wrong(where: str, reason: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(errors=[FieldProblem(where, reason, remedy)])
