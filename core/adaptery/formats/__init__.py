"""The formats of uploads: Alpaca, ShareGPT (also in OpenAI's spelling) and text, as records."""

from adaptery.formats.reading import FORMATS, Format, ReadRecord, detect_format, read_records

__all__ = ["FORMATS", "Format", "ReadRecord", "detect_format", "read_records"]
