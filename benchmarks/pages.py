"""Reports as HTML pages that need nothing else: templates, and the frame ``page.html.jinja`` that all of them fill."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

FRAME = Path(__file__).parent


def render(template: Path, **content: Any) -> str:
    """The whole page of a template, which extends ``page.html.jinja``."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, FRAME]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    pages.filters["base64"] = lambda png: base64.b64encode(png).decode("ascii")
    pages.filters["breakable"] = lambda label: escape(label).replace("(", Markup("<wbr>("))
    return pages.get_template(template.name).render(**content)
