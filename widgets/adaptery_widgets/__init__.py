"""Adaptery's views as notebook widgets: one line each to show.

    from adaptery_widgets import Curate, Train, Jobs, Watch, Chat, Keys
    Curate("visits")

A widget hosts a view (TypeScript, built into `adaptery.views`) and answers it through the Python
client. Content travels in messages, never in synced traits, so that no prompt or record is saved
with a notebook.
"""

from adaptery_widgets.chat import Chat
from adaptery_widgets.curate import Curate
from adaptery_widgets.jobs import Jobs
from adaptery_widgets.keys import Keys
from adaptery_widgets.train import Train
from adaptery_widgets.watch import Watch

__all__ = ["Chat", "Curate", "Jobs", "Keys", "Train", "Watch"]
