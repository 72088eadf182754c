"""Options of the service: a misspelt one stops the start."""

import json
from pathlib import Path

import pytest

from adaptery_hub.app import AdapteryService
from adaptery_hub.settings import ServiceSettings


def service(path: Path, config: dict[str, object]) -> AdapteryService:
    path.write_text(json.dumps(config))
    made = AdapteryService()
    made.initialize(["--config", str(path)])
    return made


@pytest.mark.parametrize("section", ["ServiceSettings", "AdapteryService"])
def test_options_are_read(tmp_path: Path, section: str) -> None:
    made = service(tmp_path / "service.json", {section: {"max_upload_bytes": 7}})
    assert made.max_upload_bytes == 7


@pytest.mark.parametrize(
    "config, complaint",
    [
        ({"ServiceSettings": {"max_uplaod_bytes": 7}}, "Did you mean max_upload_bytes?"),
        ({"ServiceSetings": {"max_upload_bytes": 7}}, "Unknown section"),
    ],
)
def test_a_misspelt_option_stops_the_start(
    tmp_path: Path, config: dict[str, object], complaint: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        service(tmp_path / "service.json", config)
    assert complaint in str(caught.value)


def test_a_missing_config_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        AdapteryService().initialize(["--config", str(tmp_path / "nothing.json")])


def test_every_option_has_help() -> None:
    for name, trait in ServiceSettings.class_traits(config=True).items():
        assert trait.help, name
