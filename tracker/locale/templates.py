"""What is written from templates: pages, letters and papers, each in the language being spoken."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes, select_autoescape
from jinja2.visitor import NodeTransformer

from tracker import locale

_PACKAGE = Path(__file__).resolve().parents[1]


def create_environment(language: str = "") -> Environment:
    """The template engine. Templates say ``_``, ``ngettext``, ``pgettext``; what stands in HTML is escaped.

    Of one that speaks a ``language`` alone, words without placeholders are translated when a template is read, not each time it
    is written from. Templates are read once a process.
    """
    installed = _PACKAGE / "_templates"
    environment = _LocalizedEnvironment(
        loader=FileSystemLoader(installed if installed.is_dir() else _PACKAGE.parent / "templates"),
        autoescape=select_autoescape(disabled_extensions=("md", "txt"), default=True),
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.language = language
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        locale.gettext, locale.plural_form, newstyle=True, pgettext=locale.pgettext
    )
    return environment


class _LocalizedEnvironment(Environment):
    language = ""

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        if self.language:
            with locale.use_locale(self.language):
                _Translator().visit(template)
        return template


class _Translator(NodeTransformer):
    """Puts translations in place of calls of ``_`` and ``pgettext`` with nothing but constants."""

    _FUNCTIONS: Mapping[str, Callable[..., str]] = {
        "_": locale.gettext,
        "gettext": locale.gettext,
        "pgettext": locale.pgettext,
    }

    def visit_Call(self, call: nodes.Call) -> nodes.Node:
        self.generic_visit(call)
        translate = self._FUNCTIONS.get(call.node.name) if isinstance(call.node, nodes.Name) else None
        if translate is None or call.kwargs or call.dyn_args or call.dyn_kwargs:
            return call
        words: list[Any] = [word.value for word in call.args if isinstance(word, nodes.Const)]
        if len(words) < len(call.args):
            return call
        text = translate(*words) % {}  # “%%” is a percent sign, as where there are placeholders
        return nodes.MarkSafeIfAutoescape(nodes.Const(text), lineno=call.lineno)


@cache
def _documents() -> Environment:
    return create_environment()


def write(template: str, **context: object) -> str:
    """A letter or paper: it knows what it is given and nothing else."""
    return _documents().get_template(template).render(context)
