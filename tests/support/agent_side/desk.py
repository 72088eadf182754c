"""The service's side of the sessions of an agent, as far as an agent can tell."""

import hashlib
from collections import Counter
from pathlib import Path

from adaptery.errors import (
    AdapteryError,
    DigestMismatchError,
    LeaseLostError,
    NotFoundError,
    UnavailableError,
)


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class ServiceDesk:
    """Answers the operations of one session; a test decides what happens to it."""

    def __init__(self, fencing_token: int = 1) -> None:
        self.fencing_token = fencing_token
        self.offered: dict[str, bytes] = {}
        self.received: dict[str, bytearray] = {}
        self.events: dict[int, dict] = {}
        self.commits: list[dict] = []
        self.finish: dict | None = None
        self.counts: Counter[str] = Counter()
        self.cancel = False
        #: Raised instead of an answer, as if the service were away.
        self.away: AdapteryError | None = None
        #: The operations that are; empty: all.
        self.away_from: set[str] = set()
        #: So many operations fail once, as on a flaky link.
        self.flaky = 0

    def offer(self, folder: Path, under: str) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.offered[f"{under}/{path.relative_to(folder)}"] = path.read_bytes()

    def offer_received(self, under: str, as_: str) -> None:
        for path, data in self.received.items():
            if path.startswith(under + "/"):
                self.offered[as_ + path[len(under) :]] = bytes(data)

    def kinds(self) -> list[str]:
        return [self.events[seq]["kind"] for seq in sorted(self.events)]

    async def answer(self, header: dict, blob: bytes) -> tuple[dict, bytes]:
        self.counts[header["op"]] += 1
        if self.away is not None and header["op"] in (self.away_from or {header["op"]}):
            raise self.away
        if self.flaky:
            self.flaky -= 1
            raise UnavailableError
        return getattr(self, f"_{header['op']}")(header, blob)

    def _fence(self, header: dict) -> None:
        if header["fencing_token"] != self.fencing_token:
            raise LeaseLostError

    def _report(self, header: dict, blob: bytes) -> tuple[dict, bytes]:
        self._fence(header)
        for event in header["events"]:
            self.events[event["seq"]] = event
        acked = max(self.events, default=0)
        until = "2099-01-01T00:00:00.000Z"
        return {"lease_until": until, "cancel": self.cancel, "acked_seq": acked}, b""

    def _finish(self, header: dict, blob: bytes) -> tuple[dict, bytes]:
        self._fence(header)
        self.finish = header
        return {"ok": True}, b""

    def _list(self, header: dict, blob: bytes) -> tuple[dict, bytes]:
        files = [
            {"path": path, "bytes": len(data), "digest": digest_of(data)}
            for path, data in self.offered.items()
        ]
        return {"files": files}, b""

    def _read(self, header: dict, blob: bytes) -> tuple[dict, bytes]:
        if header["path"] not in self.offered:
            raise NotFoundError
        start = header["offset"]
        return {}, self.offered[header["path"]][start : start + header["length"]]

    def _write(self, header: dict, blob: bytes) -> tuple[dict, bytes]:
        data = self.received.setdefault(header["path"], bytearray(header["bytes"]))
        data[header["offset"] : header["offset"] + len(blob)] = blob
        return {"received": header["offset"] + len(blob)}, b""

    def _commit(self, header: dict, blob: bytes) -> tuple[dict, bytes]:
        for entry in header["files"]:
            data = bytes(self.received[f"{header['folder']}/{entry['path']}"])
            if digest_of(data) != entry["digest"] or len(data) != entry["bytes"]:
                raise DigestMismatchError
        self.commits.append(header)
        return {"ok": True}, b""


class DeskLine:
    """A session without a broker between."""

    def __init__(self, desk: ServiceDesk) -> None:
        self._desk = desk

    async def request(self, kind, header, blob=b""):
        expected = "report" if header["op"] in ("report", "finish") else "bulk"
        assert kind == expected
        return await self._desk.answer(dict(header), blob)
