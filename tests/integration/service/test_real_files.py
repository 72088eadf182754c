"""Public data sets, uploaded as a user does: counted, asked about where there is a doubt."""

import asyncio
from pathlib import Path

import pytest

import adaptery
from adaptery.errors import InvalidInputError
from support.real_data import real_data
from support.service import Service, running_service

#: File, records, and whether its names leave a doubt that the user has to settle.
FILES = [
    ("mts-dialog/MTS-Dialog-TrainingSet.csv", 1201, True),
    ("aci-bench/train.csv", 67, True),
    ("aci-bench/valid_subjective.json", 20, True),
    ("llamafactory-demo/identity.json", 91, False),
    ("llamafactory-demo/glaive_toolcall_en_demo.json", 300, False),
    ("llamafactory-demo/dpo_en_demo.json", 300, False),
    ("llamafactory-demo/kto_en_demo.json", 300, False),
    ("fastchat-sharegpt/dummy_conversation.json", 500, False),
    ("moseley-coffee/moseley_treatise_concerning_coffee.txt", 139, False),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "records", "asks"), FILES)
async def test_a_public_data_set_is_uploaded(
    tmp_path: Path, name: str, records: int, asks: bool
) -> None:
    source = real_data(name)

    def upload(service: Service) -> None:
        with adaptery.connect(service.url, "token-of-demo") as hub:
            dataset = hub.datasets.create("public")
            if asks:
                with pytest.raises(InvalidInputError, match="certain"):
                    dataset.upload(source)
                suggestion = dataset.suggestion(source.name)
                assert suggestion.preview and not suggestion.problems_in_preview
                file = dataset.import_file(source.name, suggestion.mapping)
            else:
                file = dataset.upload(source)
            assert (file.state, file.records, file.problems) == ("ready", records, 0)
            assert dataset.refresh().info.records == records
            back = dataset.download_file(file, tmp_path / "back")
            assert back.read_bytes() == source.read_bytes()

    async with running_service(tmp_path / "state") as service:
        service.client("demo", token="token-of-demo")
        await asyncio.to_thread(upload, service)


@pytest.mark.slow
async def test_a_folder_of_llama_factory_is_one_file(tmp_path: Path) -> None:
    folder = real_data("llamafactory-demo/dataset_info.json").parent

    def upload(service: Service) -> None:
        with adaptery.connect(service.url, "token-of-demo") as hub:
            file = hub.datasets.create("public").upload(folder)
            assert (file.records, file.container) == (2290, "zip")

    async with running_service(tmp_path / "state") as service:
        service.client("demo", token="token-of-demo")
        await asyncio.to_thread(upload, service)
