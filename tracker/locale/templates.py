"""What is written from templates: pages, letters and papers, each in the language being spoken."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from tracker import locale

_PACKAGE = Path(__file__).resolve().parents[1]


def create_environment() -> Environment:
    """The template engine. Templates say ``_``, ``ngettext``, ``pgettext``; what stands in HTML is escaped."""
    installed = _PACKAGE / "_templates"
    environment = Environment(
        loader=FileSystemLoader(installed if installed.is_dir() else _PACKAGE.parent / "templates"),
        autoescape=select_autoescape(disabled_extensions=("md", "txt"), default=True),
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        locale.gettext, locale.plural_form, newstyle=True, pgettext=locale.pgettext
    )
    return environment


@cache
def _documents() -> Environment:
    return create_environment()


def write(template: str, **context: object) -> str:
    """A letter or paper: it knows what it is given and nothing else."""
    return _documents().get_template(template).render(context)
