"""Placeholder until the page is built."""

from starlette.routing import BaseRoute

routes: list[BaseRoute] = []
