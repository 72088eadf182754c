"""Run as: python -m adaptery_network.clearml, by `clearml-agent`, in a task that Adaptery made.

`Task.init` comes first, because it takes over signals, and ours come after it. It is told to look
at nothing by itself: neither files nor output of a job go to ClearML, only the numbers of `sink`.
The exit code is 0 when the attempt came to an end that Adaptery knows, else 1.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from typing import Any

from adaptery.errors import AdapteryError
from adaptery_network.clearml.settings import read_settings
from adaptery_network.clearml.sink import ClearmlSink
from adaptery_network.clearml.ticket_use import train

PARAMETER = "Adaptery/ticket"
#: The SDK may hang at the end; all is told by then.
CLOSE_SECONDS = 60.0

logger = logging.getLogger("adaptery_network.clearml")


def main() -> int:
    """Train the job of this task."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = read_settings(os.environ)
        task = _task()
        sink = ClearmlSink(task.get_logger())
        text = str(task.get_parameters().get(PARAMETER, ""))
        asyncio.run(train(text, settings, sink))
    except AdapteryError as error:
        logger.error("the job was not begun: %s", error)
        return 1
    return 1 if sink.failed else 0


def _task() -> Any:
    from clearml import Task  # pyright: ignore[reportMissingImports]

    return Task.init(
        auto_connect_arg_parser=False,
        auto_connect_frameworks=False,
        auto_resource_monitoring=False,
        auto_connect_streams=False,
        output_uri=False,
    )


def _leave(code: int) -> None:
    """End even if the SDK does not: its exit handlers may hang."""
    deadline = threading.Timer(CLOSE_SECONDS, os._exit, (code,))
    deadline.daemon = True
    deadline.start()
    sys.exit(code)


if __name__ == "__main__":
    _leave(main())
