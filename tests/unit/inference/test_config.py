import argparse
from pathlib import Path

import pytest

from adaptery.errors import InvalidInputError
from adaptery_inference.__main__ import main
from adaptery_inference.arguments import add_options, build
from adaptery_inference.config import ServeConfig, read_token

NEEDED = ["--model", "/m", "--token-file", "/t"]


def parse(*arguments: str) -> ServeConfig:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser, ServeConfig)
    return build(ServeConfig, parser.parse_args([*NEEDED, *arguments]))


def test_every_field_is_an_option_with_its_type() -> None:
    config = parse("--threads", "2", "--ready-file", "/r", "--drain-seconds", "1.5")
    assert (config.model, config.threads) == (Path("/m"), 2)
    assert (config.ready_file, config.drain_seconds) == (Path("/r"), 1.5)
    assert parse() == ServeConfig(model=Path("/m"), token_file=Path("/t"))


@pytest.mark.parametrize("arguments", [["--modell", "/m"], ["--thread", "2"], ["--port", "x"]])
def test_unknown_and_mistyped_options_are_errors(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", *NEEDED, *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--host", "0.0.0.0"], "loopback"),
        (["--host", "engine.example.org"], "loopback"),
        (["--dtype", "int8"], "dtype"),
        (["--max-rows", "0"], "max_rows"),
    ],
)
def test_values_out_of_range_end_with_a_reason(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *NEEDED, *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_a_token_is_read_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    assert read_token(file) == "secret"
    file.write_text("\n")
    with pytest.raises(InvalidInputError, match="empty"):
        read_token(file)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_token(tmp_path / "none")
