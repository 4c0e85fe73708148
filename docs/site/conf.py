"""Sphinx's settings for the course's site; build.py writes the pages and calls it.

The theme is PyData's: it has a dark mode, is made for phones, keeps its fonts and scripts in the build,
and its own tests hold it to axe-core's rules for accessibility.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "Synthetic data"
html_title = "Synthetic data: build it, break it, audit it"
author = "The founders of the course"
copyright = "the founders of the course; code: MIT, words and pictures: CC BY 4.0"
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docstrings",
    "mathml",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns: list[str] = []
nb_execution_mode = "off"  # executed.py has done it
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_dmath_allow_space = False
myst_dmath_allow_digits = False
myst_heading_anchors = 4
html_math_renderer = "mathml"

default_role = "literal"  # docstrings are plain text with code in single backquotes
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
suppress_warnings = ["ref.python"]  # several classes have an attribute `n`

html_theme = "pydata_sphinx_theme"
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "path": [], "glossary": [], "examples": []}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "Synthetic data"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
