"""The formats of files: read as records, suggested, translated and written.

`suggest` says how a file would be read, `read_records` reads it by that mapping, `translate` and
`write_records` go the other way.
"""

from adaptery.formats.reading import ReadRecord, read_records
from adaptery.formats.suggestion import detect_format, mapping_for, suggest
from adaptery.schemas.mappings import CONTAINERS, FORMATS, Container, Format, Mapping, Suggestion

__all__ = [
    "CONTAINERS",
    "FORMATS",
    "Container",
    "Format",
    "Mapping",
    "ReadRecord",
    "Suggestion",
    "detect_format",
    "mapping_for",
    "read_records",
    "suggest",
]
