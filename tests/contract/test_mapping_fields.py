"""The view that maps columns knows the fields that the formats have."""

import re
from pathlib import Path

from adaptery.schemas.mappings import FIELDS, REQUIRED_FIELDS

SOURCE = (Path(__file__).parents[2] / "widgets/views-src/src/curate/imports/things.ts").read_text(
    encoding="utf-8"
)


def shown() -> dict[str, list[str]]:
    """Return the fields of each format as the view has them; `!` behind one that is needed."""
    table = re.search(r"FORMAT_FIELDS[^=]*= \{\n(.*?)\n\};", SOURCE, re.S)
    assert table is not None
    rows = re.findall(r"(\w+): \[(.*?)\]", table[1], re.S)
    return {format: re.findall(r'"([^"]+)"', fields) for format, fields in rows}


def test_the_view_offers_the_fields_of_each_format() -> None:
    ours = {
        format: [f"{field}!" if field in REQUIRED_FIELDS[format] else field for field in fields]
        for format, fields in FIELDS.items()
    }
    assert shown() == ours
