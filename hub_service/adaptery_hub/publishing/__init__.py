"""Publishing: from a draft, or from other versions, to an immutable version; and reading it back.

    publisher     the operation: write, sign, store, insert the row
    folders       what is in the folder of a version; steps: where that is written
    shards        its records as Parquet, and its order; indexes: which ids it holds, sorted
    reports       what was found and decided; review_state: what the policy says to it
    cards         its dataset card; metadata: Croissant and PROV; headings: what they tell
    published     reading versions, verified; describing: how they are shown
    merges        versions that reference others; recipes, merging: what they come to
    merged_cache  where that is kept
    diffs         what changed between two versions; diff_cache: where that is kept
    lineage       where a version came from and what came of it
    exports       a version as a file of another format

Invariants:

- A version exists exactly if its row exists; the row is inserted after its folder is whole and on
  disk. A kill before leaves at most a folder that no row names, which the next start removes.
- The same records give the same content digest, in whatever format they came.
- No byte of a version is handed out before it was checked against its signed manifest.
"""

from adaptery_hub.publishing.describing import (
    describe_version,
    prefix_of,
    source_names,
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
    "source_names",
    "version_folder",
    "version_prefix",
]
