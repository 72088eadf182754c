"""Adaptery's views as notebook widgets: one line each to show.

`Chat()` is here; the other views follow. A widget hosts a view (TypeScript, built into
`adaptery.views`) and answers it through the Python client. Content travels in messages, never in
synced traits, so that no prompt or record is saved with a notebook.
"""

from adaptery_widgets.chat import Chat

__all__ = ["Chat"]
