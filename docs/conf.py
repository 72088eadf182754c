"""Sphinx configuration: Markdown pages, one theme without remote fonts, warnings are errors."""

from importlib.metadata import version as installed_version

project = "Adaptery"
author = "The Adaptery developers"
project_copyright = "The Adaptery developers"
version = release = installed_version("adaptery")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Adaptery"
html_static_path = ["_static"]
