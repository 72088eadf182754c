"""After a kill: what a step left in a draft whose operation was never written down as done.

A step commits to the draft, then its operation to the database; a kill may come between the two.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy.engine import RowMapping

from adaptery.errors import NotFoundError
from adaptery_hub.database import Database
from adaptery_hub.database.statements import files as statements
from adaptery_hub.drafts import Draft, Drafts

#: Operations on a draft as a whole.
ON_DRAFTS = ("bulk", "undo", "redo", "collate", "split", "leaks", "review", "decide")


async def recover(database: Database, drafts: Drafts, operation: RowMapping) -> None:
    """Take out what a collation brought, and count what the draft holds.

    Edits of many records stay: they are in the log, where they can be undone. A collation is not,
    and what it brought may be more sensitive than the dataset was made for.

    Args:
        database: where datasets are.
        drafts: all drafts.
        operation: that a former process left running.
    """
    if operation["kind"] not in ON_DRAFTS:
        return
    dataset_id = operation["thing_id"]

    def mend(draft: Draft) -> tuple[int, int]:
        if operation["kind"] == "collate":
            for source in draft.sources():
                if source.at >= operation["created_at"]:  # one operation at a time works on it
                    draft.remove_source(source.id)
        return draft.count(), draft.size()

    with suppress(NotFoundError):  # the dataset is gone
        await drafts.upgraded(dataset_id)
        count, size = await drafts.write(dataset_id, mend)
        await database.write(lambda c: statements.touch_dataset(c, dataset_id, count, size))
