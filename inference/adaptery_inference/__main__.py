"""``python -m adaptery_inference …``: the commands an agent runs.

``serve`` and ``convert`` are of the engine, ``serve-embedder`` and ``convert-embedder`` of the
embedder.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from adaptery.base_models import read_base_model
from adaptery.embedding_models import read_embedding_model
from adaptery.errors import AdapteryError
from adaptery_inference.arguments import add_options, build
from adaptery_inference.config import (
    ConvertConfig,
    ConvertEmbedderConfig,
    EmbedderConfig,
    ServeConfig,
)

EXIT_REFUSED = 2  # as argparse ends on a wrong option


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer the exit code."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing downloads, whatever a config file names
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    parsed = _parser().parse_args(arguments)
    try:
        return _COMMANDS[parsed.command](parsed)
    except AdapteryError as error:
        print(f"adaptery_inference {parsed.command}: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return EXIT_REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m adaptery_inference", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve", help="serve a base model and its adapters", allow_abbrev=False
    )
    add_options(serve, ServeConfig)
    convert = commands.add_parser("convert", help="make a base model folder", allow_abbrev=False)
    add_options(convert, ConvertConfig)
    embedder = commands.add_parser(
        "serve-embedder", help="serve an embedding model", allow_abbrev=False
    )
    add_options(embedder, EmbedderConfig)
    convert_embedder = commands.add_parser(
        "convert-embedder", help="make an embedding model folder", allow_abbrev=False
    )
    add_options(convert_embedder, ConvertEmbedderConfig)
    return parser


def _serve(parsed: argparse.Namespace) -> int:
    config = build(ServeConfig, parsed)
    read_base_model(config.model)  # a wrong folder is told before torch is imported
    from adaptery_inference.server.main import serve

    return serve(config)


def _convert(parsed: argparse.Namespace) -> int:
    from adaptery_inference.convert import convert

    info = convert(build(ConvertConfig, parsed))
    print(info.model_dump_json())  # noqa: T201 - the command's answer
    return 0


def _serve_embedder(parsed: argparse.Namespace) -> int:
    config = build(EmbedderConfig, parsed)
    read_embedding_model(config.model)  # a wrong folder is told before torch is imported
    from adaptery_inference.embedder.main import serve_embedder

    return serve_embedder(config)


def _convert_embedder(parsed: argparse.Namespace) -> int:
    from adaptery_inference.embedder.convert import convert_embedder

    info = convert_embedder(build(ConvertEmbedderConfig, parsed))
    print(info.model_dump_json())  # noqa: T201 - the command's answer
    return 0


_COMMANDS = {
    "serve": _serve,
    "convert": _convert,
    "serve-embedder": _serve_embedder,
    "convert-embedder": _convert_embedder,
}

if __name__ == "__main__":
    sys.exit(main())
