"""The formats of files: read as records, suggested, translated and written.

`suggest` says how a file would be read, `read_records` reads it by that mapping, `translate` and
`write_records` go the other way.
"""

from adaptery.formats.reading import ReadRecord, read_records
from adaptery.formats.suggestion import detect_format, mapping_for, suggest
from adaptery.formats.texts import Tokenize
from adaptery.formats.translation import (
    Conversion,
    Translation,
    convert_kind,
    format_of,
    losses,
    translate,
)
from adaptery.formats.writing import WriteReport, write_folder, write_records
from adaptery.schemas.mappings import CONTAINERS, FORMATS, Container, Format, Mapping, Suggestion

__all__ = [
    "CONTAINERS",
    "FORMATS",
    "Container",
    "Conversion",
    "Format",
    "Mapping",
    "ReadRecord",
    "Suggestion",
    "Tokenize",
    "Translation",
    "WriteReport",
    "convert_kind",
    "detect_format",
    "format_of",
    "losses",
    "mapping_for",
    "read_records",
    "suggest",
    "translate",
    "write_folder",
    "write_records",
]
