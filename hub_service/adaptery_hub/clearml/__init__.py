"""ClearML (extra): each version as a ClearML Dataset of links, made by a child process.

The service itself never imports `clearml`.
"""
