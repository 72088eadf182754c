"""The documentation says what the code says: references, links, commands, options, examples."""

import argparse
import ast
import inspect
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

import adaptery
import adaptery_hub
import adaptery_spawner
from adaptery.client.jobs import Jobs
from adaptery.commands import build_parser
from adaptery_hub.tasks import TaskCatalog

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
NOTEBOOK = REPOSITORY / "examples" / "first-adapter.ipynb"
SITE = "https://adaptery.readthedocs.io/en/latest/"
TOP = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [*TOP, *sorted(DOCS.rglob("*.md"))]
COMPONENT_PAGES = sorted(REPOSITORY.glob("*/README.md"))
CONFIGURE = {
    "adaptery_hub.configure": adaptery_hub.configure,
    "adaptery_hub.configure_proxy": adaptery_hub.configure_proxy,
    "adaptery_spawner.configure": adaptery_spawner.configure,
}


def page_id(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


each_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


def test_the_reference_is_what_the_code_says_and_everything_is_described() -> None:
    made = subprocess.run(
        [sys.executable, DOCS / "generate_reference.py", "--check"], capture_output=True, text=True
    )
    assert made.returncode == 0, f"run python docs/generate_reference.py\n{made.stderr}"


def test_the_notebook_of_the_tutorial_is_stored_without_what_it_printed() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    nbformat.validate(notebook)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert not any(cell["metadata"] for cell in notebook["cells"])


# -- links ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *COMPONENT_PAGES], ids=page_id)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [t for t in targets if not re.match(r"[a-z]+:|#", t)]
    missing = [t for t in relative if not (page.parent / t.partition("#")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("page", [*PAGES, *COMPONENT_PAGES], ids=page_id)
def test_links_to_our_site_lead_to_pages(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(rf"\]\({re.escape(SITE)}([^)#]+)\.html", text)
    assert [target for target in targets if not (DOCS / f"{target}.md").exists()] == []


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set()
    for index in (DOCS / "index.md", DOCS / "decisions" / "index.md"):
        for tree in re.findall(r"```\{toctree\}(.*?)```", index.read_text(), re.DOTALL):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed |= {index.parent / f"{name}.md" for name in names}
    assert listed == set(DOCS.rglob("*.md")) - {DOCS / "index.md"}


# -- commands ---------------------------------------------------------------------------------


def code_in(page: Path) -> Iterator[str]:
    """Yield each line of shell blocks, and each piece of code inside a sentence."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```(?:bash|ini)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`]+)`", prose)


def subparsers_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: child
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, child in action.choices.items()
    }


def problem_with(command: str) -> str | None:
    """Say why `adaptery <command>` is not one that could be run; None if it is."""
    parser = build_parser()
    words = shlex.split(command, comments=True)
    while words and words[0] in subparsers_of(parser):
        parser = subparsers_of(parser)[words.pop(0)]
    if subparsers_of(parser) and words and not words[0].startswith("-"):
        return f"{parser.prog} has no {words[0]}"
    known = set(parser._option_string_actions)
    unknown = [w for w in words if w.startswith("--") and w.partition("=")[0] not in known]
    return f"{parser.prog} has no {unknown[0]}" if unknown else None


@each_page
def test_commands_that_are_mentioned_exist(page: Path) -> None:
    commands = [
        match.group(1)
        for line in code_in(page)
        if (match := re.match(r"(?:ExecStart=\S*/)?adaptery((?: .*)?)$", line.strip()))
    ]
    assert [p for p in map(problem_with, commands) if p] == []


@each_page
def test_make_targets_that_are_mentioned_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    used = {
        word
        for line in code_in(page)
        if (match := re.match(r"make ([a-z-]+(?: [a-z-]+)*)", line.strip()))
        for word in match.group(1).split()[:1]
    }
    assert used <= targets


# -- examples ---------------------------------------------------------------------------------


def python_in(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def chain(node: ast.expr) -> str:
    """Return `a.b.c` for such an expression, "" for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := chain(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def accepts(function: object, call: ast.Call) -> bool:
    """Tell whether a call with these arguments fits the signature."""
    assert callable(function)
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    try:
        inspect.signature(function).bind(*call.args, **keywords)
    except TypeError:
        return False
    return True


@each_page
def test_examples_call_what_there_is_with_arguments_that_it_takes(page: Path) -> None:
    hub = adaptery.connect("https://hub.example.edu/services/adaptery/", "no token is sent")
    wrong = []
    for block in python_in(page):
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.Call):
                continue
            name = chain(node.func)
            function: object = CONFIGURE.get(name)
            if name == "adaptery.connect":
                function = adaptery.connect
            elif name.startswith("hub."):
                function = hub
                for part in name.split(".")[1:]:
                    function = getattr(function, part, None)
            elif function is None:
                continue
            if function is None or not accepts(function, node):
                wrong.append(ast.unparse(node))
    assert wrong == []


@each_page
def test_client_calls_in_sentences_exist(page: Path) -> None:
    hub = adaptery.connect("https://hub.example.edu/services/adaptery/", "no token is sent")
    for code in code_in(page):
        for name in re.findall(r"\bhub((?:\.\w+)+)\(", code):
            found: object = hub
            for part in name.strip(".").split("."):
                found = getattr(found, part)
            assert callable(found)


def test_task_options_in_examples_are_those_of_the_shipped_task() -> None:
    catalog = TaskCatalog.load()
    submit = inspect.signature(Jobs.submit)
    named = {name for name, p in submit.parameters.items() if p.kind is not p.VAR_KEYWORD}
    calls = [
        {keyword.arg: keyword.value for keyword in node.keywords}
        for page in PAGES
        for block in python_in(page)
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and chain(node.func) == "hub.jobs.submit"
    ]
    for given in calls:
        task = ast.literal_eval(given["task"]) if "task" in given else "training-v0"
        assert set(given) <= set(catalog.get(task).options) | named
