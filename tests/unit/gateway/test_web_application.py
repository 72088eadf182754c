"""Requests that come together are given to their handlers one by one."""

import asyncio
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import RequestHandler

from adaptery.single_file import SingleFile
from adaptery_hub.web_application import WebApplication

START = RequestStartLine("GET", "/", "HTTP/1.1")


class Connection:
    """A stand-in for tornado's, which is told of nothing here."""

    context = None

    def set_close_callback(self, callback):
        """See `HTTP1Connection.set_close_callback`."""


def application(made: list[int], rounds: list[int]) -> WebApplication:
    class Noted(RequestHandler):
        def initialize(self) -> None:
            made.append(rounds[0])

        async def _execute(self, *_arguments: Any, **_named: Any) -> None:
            """Nothing is answered here."""

    return WebApplication(SingleFile(), [("/", Noted)])


def delegate(web: WebApplication) -> Any:
    request = HTTPServerRequest(
        start_line=START,
        headers=HTTPHeaders({"Host": "localhost"}),
        connection=Connection(),  # type: ignore[arg-type]
    )
    return web.find_handler(request)


async def answer(one: Any) -> None:
    """Do what tornado's connection does with a request without a body."""
    await one.headers_received(START, HTTPHeaders())
    one.finish()


async def test_each_is_made_in_a_round_of_the_loop_of_its_own():
    made: list[int] = []
    rounds = [0]
    web = application(made, rounds)
    tasks = [asyncio.create_task(answer(delegate(web))) for _ in range(4)]
    while not all(task.done() for task in tasks):
        rounds[0] += 1
        await asyncio.sleep(0)
    assert len(made) == 4
    assert len(set(made)) == 4


async def test_who_leaves_the_line_is_never_made_and_holds_up_nobody():
    made: list[int] = []
    web = application(made, [0])
    delegates = [delegate(web) for _ in range(3)]
    tasks = [asyncio.create_task(answer(one)) for one in delegates]
    tasks[1].cancel()
    delegates[1].on_connection_close()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(made) == 2
    assert tasks[1].cancelled()
