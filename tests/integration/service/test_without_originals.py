"""Versions that leave out the files that they came from."""

from pathlib import Path

from support.service import alpaca, running_service


async def test_the_sensitivity_decides(tmp_path: Path) -> None:
    async with running_service(tmp_path / "state", publish_originals=["open"]) as service:
        demo = service.client("demo")
        for sensitivity, held in (("open", True), ("internal", False)):
            dataset = await demo.dataset(sensitivity, sensitivity=sensitivity)
            await demo.upload(dataset, alpaca(2))
            version = (await demo.publish(dataset))["result"]["version"]["id"]
            manifest = await demo.json("GET", f"api/versions/{version}/manifest")
            paths = [file["path"] for file in manifest["files"]]
            assert any(path.startswith("originals/") for path in paths) == held
