"""The service's own page, the static views and the end of the login.

The page is one self-contained document: no script, no image, no font, nothing from elsewhere. The
only handlers that redirect are here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import sqlalchemy as sa
from jupyterhub.services.auth import HubOAuthCallbackHandler
from sqlalchemy.engine import Connection, RowMapping
from tornado.template import Template

from adaptery.errors import (
    AdapteryError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    from_problem,
)
from adaptery.ids import new_id
from adaptery_hub.database import tables
from adaptery_hub.database.statements import overview as statements
from adaptery_hub.handlers.base import Handler
from adaptery_hub.identity import SCOPE_PREFIX
from adaptery_hub.permissions import Right
from adaptery_hub.routes import Operation, Route

#: Rows of each table on the page.
PAGE_ROWS = 50

_TEMPLATES = files("adaptery_hub") / "templates"
_STYLE = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
_PAGE = Template((_TEMPLATES / "page.html").read_text(encoding="utf-8"))
_ERROR = Template((_TEMPLATES / "error.html").read_text(encoding="utf-8"))
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: Only the style above may apply; nothing runs, nothing loads, nobody may frame the page.
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_VIEW_NAME = re.compile(r"[a-z0-9_-]+\.(js|css)")
_VIEW_MEDIA = {"js": "text/javascript", "css": "text/css"}
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Section:
    """One table of the page."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]
    empty: str


class PageHandler(Handler):
    """Who I am and what I have."""

    async def authenticate(self) -> None:
        """Send a browser without a session to the login; the page itself is for who may read."""
        try:
            await super().authenticate()
            if "read" not in self.identity.scopes:
                raise NotAllowedError(
                    f"This needs the scope {SCOPE_PREFIX}read.", hint="Use a token that has it."
                )
        except NotAuthenticatedError:
            # Only a page load may follow a redirect to the login; a script gets its 401.
            if self.request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
                raise
            self.redirect(self.get_login_url())

    async def get(self) -> None:
        """Answer the page."""
        sections = await self.services.db.read(self._sections)
        if self.identity.token_kind == "session":  # noqa: S105 - a word, not a secret
            _ = self.xsrf_token  # reading it sets the cookie that the views need for their calls
        self._answer_html(
            _PAGE.generate(
                style=_STYLE,
                identity=self.identity,
                sections=sections,
                lab_url=os.environ.get("JUPYTERHUB_BASE_URL", "/") + "hub/user-redirect/lab",
            )
        )

    def render_error(self, error: AdapteryError) -> None:
        """Answer a browser in HTML, anyone else as every other route."""
        if "text/html" not in self.request.headers.get("Accept", ""):
            super().render_error(error)
            return
        self._answer_html(
            _ERROR.generate(
                style=_STYLE,
                message=error.message,
                hint=error.hint,
                request_id=self.request_id,
            )
        )

    def _answer_html(self, document: bytes) -> None:
        self.set_header("Content-Type", _HTML)
        self.set_header("Content-Security-Policy", PAGE_POLICY)
        self.finish(document)

    def _sections(self, connection: Connection) -> list[Section]:
        def rows(table: sa.Table, right: Right) -> list[RowMapping]:
            return statements.newest(connection, table, self.identity, right, PAGE_ROWS)

        return [
            Section(
                "Datasets",
                ("Name", "Records", "Sensitivity", "Description"),
                [
                    (_name(row), row["records"], row["sensitivity"], row["description"])
                    for row in rows(tables.datasets, Right.VIEW)
                ],
                "No dataset yet. In a notebook: import adaptery; adaptery.connect().",
            ),
            Section(
                "Jobs",
                ("Name", "Task", "State", "Queue"),
                [
                    (_name(row), row["task"], row["state"], row["queue"])
                    for row in rows(tables.jobs, Right.VIEW)
                ],
                "No job yet.",
            ),
            Section(
                "Adapters",
                ("Name", "Base model", "Rank", "Sensitivity"),
                [
                    (
                        f"{_name(row)}@{row['number']}",
                        row["base_model"],
                        row["rank"],
                        row["sensitivity"],
                    )
                    for row in rows(tables.adapters, Right.USE)
                ],
                "No adapter yet.",
            ),
        ]


class ViewHandler(Handler):
    """The built views: public, static, the same for everyone."""

    async def get(self, file: str) -> None:
        """Answer one file."""
        match = _VIEW_NAME.fullmatch(file)
        path = files("adaptery") / "views" / file
        if match is None or not path.is_file():
            raise NotFoundError("There is no such view.")
        self.set_header("Content-Type", f"{_VIEW_MEDIA[match[1]]}; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(path.read_bytes())


class LoginEndHandler(HubOAuthCallbackHandler):
    """Takes a browser back from the Hub's login."""

    async def prepare(self) -> None:
        """Ask the Hub without blocking, so that the parent finds the answer; called by tornado."""
        await self.hub_auth.get_user(self, sync=False)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Render an error as every other route does; called by tornado."""
        error = from_problem({"status": status_code})
        self.set_header("Content-Type", "application/problem+json")
        self.finish(json.dumps(error.to_problem(new_id("rq"))))


def _name(row: RowMapping) -> str:
    return f"{row['prefix']}/{row['name']}"


ROUTES = [
    Route(
        "",
        PageHandler,
        {"GET": Operation("session", "The service's own page.", media="text/html")},
    ),
    Route(
        "views/{file}",
        ViewHandler,
        {"GET": Operation("open", "A built view.", media="text/javascript")},
    ),
]
