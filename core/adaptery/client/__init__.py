"""The client of the service: `adaptery.connect()` and what it returns."""

from adaptery.client.chats import ChatAnswer, ChatStream
from adaptery.client.datasets import Dataset
from adaptery.client.hub import Hub, connect
from adaptery.client.job import Job
from adaptery.client.versions import Version

__all__ = ["ChatAnswer", "ChatStream", "Dataset", "Hub", "Job", "Version", "connect"]
