"""Ending asyncio tasks so that none is left behind and none of their errors is lost in silence."""

from __future__ import annotations

import asyncio
import logging

logger = logging.getLogger(__name__)


async def end_tasks(*tasks: asyncio.Task[object] | asyncio.Task[None] | None) -> None:
    """Cancel what still runs and wait for it; an error that is no one's any more is logged."""
    given = [task for task in tasks if task is not None]
    running = [task for task in given if not task.done()]
    for task in running:
        task.cancel()
    await asyncio.gather(*given, return_exceptions=True)
    for task in running:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed while it was ended", task.get_name(), exc_info=error)
