"""The frame of the house: folders, packages, wheel, layers and weights of imports."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import adaptery

REPOSITORY = Path(__file__).resolve().parents[2]
COMPONENTS = {
    "core": "adaptery",
    "hub_service": "adaptery_hub",
    "network": "adaptery_network",
    "inference": "adaptery_inference",
    "training": "adaptery_training",
    "jupyter_ext": "adaptery_jupyter",
    "widgets": "adaptery_widgets",
    "spawner": "adaptery_spawner",
}
VIEW_FILES = ["page.js", "page.css"] + [
    f"{view}.js" for view in ("hosts", "panel", "curate", "train", "jobs", "watch", "chat", "keys")
]
HEAVY = "torch transformers peft trl"


@pytest.mark.parametrize(("folder", "package"), COMPONENTS.items())
def test_a_component_folder_holds_exactly_one_package(folder: str, package: str) -> None:
    root = REPOSITORY / folder
    importable = {
        path.name
        for path in root.iterdir()
        if path.is_dir() and path.name.isidentifier() and path.name != "__pycache__"
    }
    assert importable == {package}
    assert (root / package / "py.typed").exists()
    assert (root / "README.md").exists()


def test_no_component_has_loose_modules_that_become_importable() -> None:
    loose = {
        str(path.relative_to(REPOSITORY))
        for folder in COMPONENTS
        for path in (REPOSITORY / folder).glob("*.py")
    }
    assert loose <= {"widgets/build_views.py", "jupyter_ext/build_lab.py"} and "-" not in "".join(
        loose
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_package_the_views_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if not re.search(r"\.(dist-info|data)/", name)}
    assert tops == set(COMPONENTS.values())
    assert any(name.endswith("jupyter_server_config.d/adaptery.json") for name in names)
    assert {f"adaptery/views/{name}" for name in VIEW_FILES} <= {*names}
    assert {"adaptery_hub/tasks/sft.yaml", "adaptery_hub/tasks/sections/adapter.yaml"} <= {*names}
    for package in COMPONENTS.values():
        assert f"{package}/py.typed" in names


def test_make_builds_the_views_again_when_one_of_them_is_missing() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    listed = re.search(r"^VIEWS := \$\(addprefix core/adaptery/views/,(.*)\)$", makefile, re.M)
    assert listed and sorted(listed[1].split()) == sorted(VIEW_FILES)


def test_the_wheel_holds_the_lab_extension_whole(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {
            name.partition("/labextensions/adaptery/")[2]: name
            for name in archive.namelist()
            if ".data/data/share/jupyter/labextensions/adaptery/" in name
        }
        assert json.loads(archive.read(found["install.json"]))["packageName"] == "adaptery"
        package = json.loads(archive.read(found["package.json"]))
        everything = b"".join(archive.read(name) for name in found.values())
    assert package["name"] == "adaptery"
    assert package["version"] == adaptery.__version__.partition(".dev")[0]
    assert package["jupyterlab"]["_build"]["load"] in found
    assert str(REPOSITORY).encode() not in everything


def test_the_lab_extension_asks_only_the_registry_for_its_tools() -> None:
    lock = (REPOSITORY / "jupyter_ext/lab-src/yarn.lock").read_text()
    protocols = set(re.findall(r'resolution: ".+?@(\w+):', lock))
    assert protocols <= {"npm", "patch", "workspace"}


@pytest.mark.slow
def test_the_wheel_installs_alone_and_its_command_runs(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-c", REPOSITORY / "constraints.txt", wheel],
        check=True,
        cwd=tmp_path,
    )
    shown = subprocess.run(
        [tmp_path / "venv/bin/adaptery", "--help"], check=True, capture_output=True, text=True
    )
    assert "usage: adaptery" in shown.stdout
    imported = subprocess.run([python, "-c", "import adaptery"], capture_output=True, text=True)
    assert imported.returncode == 0, imported.stderr


def test_imports_point_down_only() -> None:
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import adaptery", f"{HEAVY} tornado jupyterhub sqlalchemy cryptography nats"),
        ("import adaptery.client", f"{HEAVY} tornado jupyterhub sqlalchemy"),
        ("import adaptery.__main__", f"{HEAVY} tornado pydantic httpx"),
        ("import adaptery_hub.app", HEAVY),
        ("import adaptery_hub.configuration", f"{HEAVY} sqlalchemy nats"),
        ("import adaptery_network.agent.daemon", f"{HEAVY} tornado sqlalchemy"),
        ("import adaptery_spawner", f"{HEAVY} adaptery_hub"),
        ("import adaptery_inference.engine.scheduler", "torch transformers tornado"),
        ("import adaptery_inference.engine.blocks", "torch transformers tornado"),
        ("import adaptery_training", "torch transformers peft"),
    ],
)
def test_imports_are_light(statement: str, forbidden: str) -> None:
    code = (
        f"{statement}\nimport sys\nprint(*[m for m in {forbidden.split()!r} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_extras_explain_each_dependency() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    for requirement in wanted:
        lines = [line for line in text.splitlines() if f'"{requirement}"' in line]
        assert any("#" in line for line in lines), requirement


def test_no_path_of_a_machine_is_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    marker = f"{REPOSITORY}/".encode()
    found = [
        name
        for name in listed
        if (REPOSITORY / name).is_file() and marker in (REPOSITORY / name).read_bytes()
    ]
    assert found == []
