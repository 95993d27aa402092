"""Pages that stand alone: style and script are inline, and allowed by their hashes alone."""

import base64
import hashlib
from importlib.resources import files
from typing import Any

import jinja2


def document(template: str, style: str, script: str, **facts: Any) -> str:
    """Fill a template of this package.

    Args:
        template: its file, which extends document.html.j2.
        style: of the whole page.
        script: of the whole page.
        facts: what else the template names; text is escaped.

    Returns:
        A page that loads nothing and runs no other script.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(source),
    )
    hashes = {"style_hash": _csp_hash(style), "script_hash": _csp_hash(script)}
    return environment.get_template(template).render(style=style, script=script, **hashes, **facts)


def source(name: str) -> str:
    """Read a template, style or script of this package."""
    return files("veriscale.report").joinpath(name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
