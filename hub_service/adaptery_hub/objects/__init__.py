"""Where immutable files live: the port `ObjectStore` and the stores behind it."""

from adaptery_hub.objects.filesystem import FilesystemStore
from adaptery_hub.objects.store import KeptObject, ObjectInfo, ObjectStore

__all__ = ["FilesystemStore", "KeptObject", "ObjectInfo", "ObjectStore"]
