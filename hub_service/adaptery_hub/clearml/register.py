"""Makes one ClearML Dataset of links, or marks one, or sees to jobs; ended by its deadline.

Run as: `python -I register.py` (or `-m adaptery_hub.clearml.register`) with CLEARML_CONFIG_FILE in
the environment: one line of JSON on stdin, one on stdout. It needs the standard library and
`clearml` only, so that any interpreter may run it.

What always holds:

- Nothing is copied: the dataset holds addresses, sizes and paths.
- It is asked first what is there already: who was killed halfway leaves no second dataset behind.
- It says what went wrong in words of ours; what a server or the SDK says goes nowhere, for it may
  quote addresses and credentials.
- It ends with the service: when its stdin is closed.
- It writes and removes files in its own folder only, and takes so much memory and disk: a dataset
  of ClearML can be changed by each of its users, and the SDK goes where the dataset says (it
  removes what it takes for its copy of a list, and a list may be said to lie at file://).
"""

from __future__ import annotations

import base64
import errno
import importlib.util
import json
import os
import posixpath
import resource
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

#: `away`: no answer, or not one of ClearML; `refused`: ClearML said no; `store`: it cannot see the
#: files; `missing`: no SDK here.
Kind = Literal["away", "refused", "store", "missing"]

PROBE_SECONDS = 10
#: What a server answers is read so far and no further.
PROBE_BYTES = 256 * 1024
#: Files that are looked up in the store at a time.
LOOKS = 4
MEMORY_BYTES = 2 * 1024**3
FILE_BYTES = 256 * 1024**2
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
#: What changes files: how many of its arguments name one. Source: Python docs, "Audit events".
_CHANGES = {
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "shutil.rmtree": 1,
}
#: States of a ClearML task that is a whole dataset.
_WHOLE = frozenset({"completed", "published", "closed"})


class Failure(Exception):
    """It did not work; `reason` is a sentence for people."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any
    ) -> None:
        return None  # the credentials are for one server


def main() -> NoReturn:
    """Do what stdin says and tell on stdout how it went."""
    said = _take_stdout()
    order: Mapping[str, Any] = json.loads(sys.stdin.readline())
    stay_within(Path(os.environ["CLEARML_CONFIG_FILE"]).parent)
    threading.Thread(target=_end_with_service, daemon=True).start()
    outcome = perform(order)
    said.write(json.dumps(outcome) + "\n")
    said.flush()
    os._exit(0)  # the SDK's threads and exit handlers may hang


def stay_within(folder: Path) -> None:
    """Let this process change nothing outside of a folder from now on, and take so much."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    root = os.path.realpath(folder) + os.sep

    def look(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            changed = [args[0]] if args[2] & _WRITING else []
        else:
            changed = args[: _CHANGES.get(event, 0)]
        for path in changed:
            if isinstance(path, (str, bytes, os.PathLike)):
                real = os.path.realpath(os.fsdecode(path))
                if not real.startswith(root) and real != os.devnull:
                    raise PermissionError(errno.EACCES, "outside of the folder of this process")

    sys.addaudithook(look)


def perform(order: Mapping[str, Any]) -> dict[str, Any]:
    """Do what an order says; return `{"dataset": id}` or `{"failure", "reason"}`."""
    actions: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "link": link,
        "mark": mark,
        "carry": see_to_jobs,
    }
    try:
        probe(json.loads(Path(os.environ["CLEARML_CONFIG_FILE"]).read_text())["api"])
        return actions[order["action"]](order)
    except Failure as failure:
        return {"failure": failure.kind, "reason": failure.reason}
    except ImportError:
        return {"failure": "missing", "reason": "The ClearML SDK is not installed."}
    except BaseException as error:
        return {"failure": "away", "reason": f"The ClearML SDK gave up ({type(error).__name__})."}


def probe(api: Mapping[str, Any]) -> None:
    """Log in by hand: the SDK would try for hours, and says little.

    Raises:
        Failure: nobody answers, it is not ClearML, or it does not know the credentials.
    """
    keys = api["credentials"]
    token = base64.b64encode(f"{keys['access_key']}:{keys['secret_key']}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the administrator's address, checked before
        f"{api['api_server'].rstrip('/')}/auth.login",
        data=b"{}",
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=PROBE_SECONDS) as said:
            answer = json.loads(said.read(PROBE_BYTES))
            held = answer["data"]["token"]
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise Failure("refused", "ClearML does not know the credentials.") from None
        raise Failure("away", f"ClearML answered with HTTP status {error.code}.") from None
    except TimeoutError:
        raise Failure("away", f"ClearML did not answer within {PROBE_SECONDS} s.") from None
    except (OSError, HTTPException):
        raise Failure("away", "ClearML cannot be reached.") from None
    except (ValueError, KeyError, TypeError):
        raise Failure("away", "What answered is not ClearML.") from None
    if not isinstance(held, str) or held.count(".") != 2:
        raise Failure("away", "What answered is not ClearML.")


def link(order: Mapping[str, Any]) -> dict[str, Any]:
    """Make the dataset of a version, unless it is there.

    Raises:
        Failure: it cannot be made; nothing of it is left if ClearML still answers.
    """
    if found := _find(order["tag"]):
        _check_kept(found, order["links"])
        return {"dataset": found}
    from clearml import Dataset  # pyright: ignore[reportMissingImports]

    dataset = Dataset.create(
        dataset_project=order["project"],
        dataset_name=order["name"],
        dataset_version=order["number"],
        dataset_tags=[order["tag"], *order["tags"]],
        parent_datasets=order["parents"] or None,
        description=order["description"],
    )
    _add_links(dataset, order["links"])
    dataset.upload(show_progress=False, preview=False)  # its state; there are no files to send
    dataset.finalize()
    if _find(order["tag"]) != dataset.id:
        raise Failure("away", "ClearML does not show the dataset that it was given.")
    _check_kept(dataset.id, order["links"])
    return {"dataset": dataset.id}


def mark(order: Mapping[str, Any]) -> dict[str, Any]:
    """Put tags on a dataset.

    Raises:
        Failure: ClearML refuses.
    """
    rows = _ask("get_all", id=[order["dataset"]], only_fields=["id", "tags"], search_hidden=True)
    tasks = rows["tasks"]
    if not tasks:
        return {"dataset": None}  # somebody has deleted it there
    tags = sorted({*(tasks[0].get("tags") or []), *order["tags"]})
    _ask("edit", task=order["dataset"], tags=tags, force=True)
    return {"dataset": order["dataset"]}


def see_to_jobs(order: Mapping[str, Any]) -> dict[str, Any]:
    """Do one round about jobs; see `carry.py`, which lies beside this file.

    Raises:
        Failure: ClearML does not answer, or refuses all of it.
    """
    spec = importlib.util.spec_from_file_location("carry", Path(__file__).with_name("carry.py"))
    assert spec is not None and spec.loader is not None
    carry = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(carry)
    try:
        return {"round": carry.carry(order, carry.open_session())}
    except carry.Refused as no:
        raise Failure("refused", str(no)) from None
    except carry.Away:
        raise Failure("away", "ClearML does not answer as it must.") from None


def _find(tag: str) -> str | None:
    """Return the dataset with a tag, and remove what was begun and not ended under it."""
    rows = _ask(
        "get_all",
        tags=[tag],
        system_tags=["__$all", "dataset", "__$not", "archived"],
        only_fields=["id", "status"],
        search_hidden=True,
    )
    whole = sorted(str(row["id"]) for row in rows["tasks"] if row["status"] in _WHOLE)
    for row in rows["tasks"]:
        if row["status"] not in _WHOLE:
            _ask("delete", task=row["id"], force=True)
    return whole[0] if whole else None


def _add_links(dataset: Any, links: list[dict[str, Any]]) -> None:
    dataset.add_external_files(
        [one["url"] for one in links],
        dataset_path=[posixpath.dirname(one["path"]) for one in links],
        max_workers=LOOKS,
    )
    # Of a file that cannot be seen the SDK only says so in its log.
    found = {path: entry.size for path, entry in dataset.link_entries_dict.items()}
    missing = sum(found.get(one["path"]) != one["bytes"] for one in links)
    if missing:
        _ask("delete", task=dataset.id, force=True)
        raise Failure(
            "store", f"ClearML's SDK does not see {missing} of the {len(links)} files in the store."
        )


def _check_kept(dataset_id: str, links: list[dict[str, Any]]) -> None:
    """Read a dataset back, as its users will: what the file server lost, the SDK does not tell."""
    from clearml import Dataset  # pyright: ignore[reportMissingImports]

    try:
        entries = Dataset.get(dataset_id=dataset_id).link_entries_dict
        kept = all(entries[one["path"]].link == one["url"] for one in links)
    except Exception:
        kept = False
    if not kept:
        _ask("delete", task=dataset_id, force=True)
        raise Failure("away", "ClearML did not keep the list of links.")


def _ask(action: str, **payload: object) -> Any:
    """Ask for something about tasks, with the SDK's session.

    Raises:
        Failure: the answer is no.
    """
    from clearml import Task  # pyright: ignore[reportMissingImports]

    answer = Task._get_default_session().send_request("tasks", action, json=payload)
    if answer.status_code >= 500:
        raise Failure("away", f"ClearML answered with HTTP status {answer.status_code}.")
    if answer.status_code >= 400:
        raise Failure("refused", f"ClearML refused (HTTP status {answer.status_code}).")
    return answer.json()["data"]


def _take_stdout() -> IO[str]:
    """Return stdout, and let everything else that is printed go to stderr."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return said


def _end_with_service() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
