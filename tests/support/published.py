"""Published versions without a service around them."""

from __future__ import annotations

from pathlib import Path

from adaptery.signing import SigningKey
from adaptery_hub.at_rest import AtRestDesk
from adaptery_hub.key_store import KeyStore
from adaptery_hub.objects import ObjectStore
from adaptery_hub.processes import Processes
from adaptery_hub.publishing import MergedCache, PublishedVersions

#: Signs the manifests of tests.
KEY = SigningKey.from_seed(b"tests" * 6 + b"!!")
MEMORY_BYTES = 2 * 1024**3


def published_in(objects: ObjectStore, root: Path) -> PublishedVersions:
    """Return the reader of what lies in a store; its caches lie below `root`."""
    processes = Processes(MEMORY_BYTES)
    at_rest = AtRestDesk(KeyStore(root / "keys"))
    merged = MergedCache(root / "merged", KEY, processes, at_rest, 100, 10**9)
    return PublishedVersions(objects, KEY.verify_key, at_rest, merged, root / "indexes")
