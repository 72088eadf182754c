"""A stand-in for a ClearML server: what the SDK's datasets need of its published protocol.

It is no ClearML, and proves nothing about one: the same tests run against a real server if
CLEARML_API_HOST and its keys are set. Unknown endpoints and fields are refused loudly.
"""

from support.clearml_double.server import ACCESS_KEY, SECRET_KEY, ClearmlDouble, running_double

__all__ = ["ACCESS_KEY", "SECRET_KEY", "ClearmlDouble", "running_double"]
