# SPDX-License-Identifier: MPL-2.0
"""The documentation of the whole family."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "metlog"
author = "metlog maintainers"
copyright = "metlog maintainers"  # noqa: A001  # Sphinx's name

extensions = ["index_words", "myst_parser", "reference", "sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True
default_role = "py:obj"
smartquotes = False  # values and options are there to be copied
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # an included part begins where it stands
exclude_patterns = ["_build", "_ext", "measured"]

html_search_scorer = str(Path(__file__).parent / "_ext" / "scorer.js")
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme = "furo"
html_title = "metlog"
