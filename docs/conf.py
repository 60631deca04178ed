"""The site: ``make site`` builds it into ``site/``, offline, with every warning an error."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

project = "allbps"
author = "The allbps developers"
copyright = "2026, the allbps developers"  # noqa: A001 - Sphinx's word
release = version = version_of("allbps")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "_site",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "allbps"
html_css_files = ["site.css"]
html_static_path = ["_static"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository; a test follows them

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
nitpicky = False
