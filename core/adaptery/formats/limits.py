"""Limits of uploads. Each is far above honest data and far below what would hurt the service."""

from typing import Final

__all__ = [
    "ARROW_BUFFERS_LIMIT_BYTES",
    "COLUMNS_LIMIT",
    "DIRECTORY_LIMIT_BYTES",
    "MEMBERS_LIMIT",
    "RATIO_LIMIT",
    "RECORDS_LIMIT",
    "RECORD_LIMIT_BYTES",
    "ROW_GROUP_LIMIT_BYTES",
    "SNIFF_BYTES",
    "UNPACKED_LIMIT_BYTES",
]

#: Bytes of one record as it stands in the file. A book of 1 MiB has about 250,000 tokens, more than
#: any base model here reads at once.
RECORD_LIMIT_BYTES: Final = 1024 * 1024
#: Records in one file.
RECORDS_LIMIT: Final = 1_000_000
#: Columns of a table; more is a matrix and no list of examples.
COLUMNS_LIMIT: Final = 1_000
#: Bytes at the start of a file that decide whether it is text at all.
SNIFF_BYTES: Final = 8 * 1024
#: Files in one archive.
MEMBERS_LIMIT: Final = 1_000
#: Bytes of an archive's directory, which is read whole: a thousand files with long names.
DIRECTORY_LIMIT_BYTES: Final = 1024 * 1024
#: Bytes of all files of an archive, unpacked.
UNPACKED_LIMIT_BYTES: Final = 4 * 1024**3
#: Unpacked bytes for each packed one. Text shrinks to a tenth, a list of near copies to a
#: hundredth; deflate ends at 1032, where only bombs are.
RATIO_LIMIT: Final = 300
#: Bytes of one row group of Parquet, unpacked, in the columns that are read.
ROW_GROUP_LIMIT_BYTES: Final = 1024**3
#: Bytes of one batch of an Arrow file, unpacked.
ARROW_BUFFERS_LIMIT_BYTES: Final = 256 * 1024**2
