"""The command line, run as a user runs it."""

import json
import os
import subprocess
import sys

import pytest

import adaptery
from adaptery.commands import main

ROW = {"instruction": "q", "output": "a"}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "adaptery.commands", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_and_version_run_in_a_process_of_their_own():
    shown = run("--help")
    assert shown.returncode == 0 and "data" in shown.stdout
    assert run("--version").stdout.strip() == f"adaptery {adaptery.__version__}"


def test_importing_adaptery_loads_nothing_heavy():
    heavy = ("torch", "transformers", "tornado", "pydantic", "httpx", "cryptography")
    code = f"import sys, adaptery; print([m for m in {heavy!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_client_needs_neither_torch_nor_cryptography():
    code = (
        "import sys, adaptery; adaptery.connect('http://127.0.0.1:1/', 't');"
        "print([m for m in ('torch', 'tornado', 'cryptography') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_good_file_passes_with_its_digest(tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([ROW, ROW, {**ROW, "output": "b"}]))
    assert main(["data", "check", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "alpaca: 3 records, 1 duplicates, 0 problems" in shown
    assert "content digest sha256:" in shown


def test_problems_are_listed_by_record_and_counted(tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([ROW, *[{"instruction": "q"}] * 30]))
    assert main(["data", "check", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "record 2, output: is missing." in shown
    assert "... and 10 more" in shown and "30 problems" in shown and "digest" not in shown


def test_a_guess_is_told_and_checked(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("ID,dialogue,section_text\n1,q,a\n2,q,\n")
    assert main(["data", "check", str(path)]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert "dialogue looks like what is asked" in shown[0]
    assert shown[1] == "read as prompt: prompt = dialogue, completion = section_text"
    assert shown[2].startswith("record 2 (line 3), section_text: is empty.")
    assert shown[3] == "columns that are not used: ID"


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b'[{"instruction": "q"'])
def test_a_wrong_file_ends_with_one_clear_line(tmp_path, capsys, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert main(["data", "check", str(path)]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("adaptery: The file ") and "Traceback" not in shown


def test_a_missing_file_is_an_error_of_ours(capsys):
    assert main(["data", "check", "no-such-file"]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_an_unknown_option_is_an_error(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["data", "check", "x", "--fromat", "alpaca"])
    assert caught.value.code == 2


def test_a_reader_that_has_enough_ends_it_without_a_traceback(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([ROW]))
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "adaptery.commands", "data", "check", str(path)],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")
