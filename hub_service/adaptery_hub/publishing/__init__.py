"""Publishing: from a draft, or from other versions, to an immutable version; and reading it back.

    publisher    the operation: write, sign, store, insert the row
    folders      what is in the folder of a version, written in a process of its own
    shards       its records as Parquet, and its order
    indexes      which record ids it holds, sorted
    reports      what was found and decided
    cards        its dataset card; metadata: Croissant and PROV
    published    reading versions, verified
    merges       versions that reference others, and the cache of what they come to
    diffs        what changed between two versions
    lineage      where a version came from and what came of it

Invariants:

- A version exists exactly if its row exists; the row is inserted after its folder is whole and on
  disk. A kill before leaves at most a folder that no row names, which the next start removes.
- The same records give the same content digest, in whatever format they came.
- No byte of a version is handed out before it was checked against its signed manifest.
"""

from adaptery_hub.publishing.describing import (
    describe_version,
    prefix_of,
    version_folder,
    version_prefix,
)
from adaptery_hub.publishing.merged_cache import MergedCache
from adaptery_hub.publishing.published import PublishedRecord, PublishedVersions
from adaptery_hub.publishing.publisher import Note, Publisher, PublishWork, Rules, VersionWork

__all__ = [
    "MergedCache",
    "Note",
    "PublishWork",
    "PublishedRecord",
    "PublishedVersions",
    "Publisher",
    "Rules",
    "VersionWork",
    "describe_version",
    "prefix_of",
    "version_folder",
    "version_prefix",
]
