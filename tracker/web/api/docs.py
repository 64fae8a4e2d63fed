"""``/docs``: the API for people, made from its OpenAPI document. One page, no script, its style allowed by digest."""

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

docs = APIRouter(include_in_schema=False)
_BASE_PATH = Path(__file__).parent
_STYLE = (_BASE_PATH / "docs.css").read_text()
_DIGEST = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_pages = Environment(loader=FileSystemLoader(_BASE_PATH), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@docs.get("/docs", response_class=HTMLResponse)
def get_docs(request: Request) -> Response:
    spec = request.app.openapi()
    page = _pages.get_template("docs.html").render(
        spec=spec,
        style=_STYLE,
        base=request.scope.get("root_path", ""),
        groups=_groups(spec),
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"})


def _groups(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The calls by tag, in the order of the document."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in spec["paths"].items():
        for method, call in methods.items():
            groups.setdefault(call["tags"][0], []).append(_call(spec, method.upper(), path, call))
    return groups


def _call(spec: dict[str, Any], method: str, path: str, call: dict[str, Any]) -> dict[str, Any]:
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    status, answer = next((s, a) for s, a in call["responses"].items() if s.startswith("2"))
    content = answer.get("content", {})
    shape = content.get("application/json", {}).get("schema")
    return {
        "method": method,
        "path": path,
        "anchor": f"{method.lower()}{path}".replace("/", "-").replace("{", "").replace("}", ""),
        "about": call.get("description", call["summary"]),
        "parameters": call.get("parameters", []),
        "body": _example(spec, body) if body else None,
        "body_about": _resolved(spec, body).get("description", "") if body else "",
        "status": status,
        "answer": _example(spec, shape) if shape else None,
        "stream": "text/event-stream" in content,
    }


def _example(spec: dict[str, Any], schema: dict[str, Any]) -> str:
    return json.dumps(_outline(spec, schema, 0), indent=2, ensure_ascii=False)


def _outline(spec: dict[str, Any], schema: dict[str, Any], depth: int) -> Any:
    """A schema as a specimen: each value is the word for its kind."""
    schema = _resolved(spec, schema)
    if depth > 8:
        return "…"
    if "anyOf" in schema:
        kinds = [option for option in schema["anyOf"] if option.get("type") != "null"]
        inner = _outline(spec, kinds[0], depth + 1)
        return f"{inner} or null" if isinstance(inner, str) else inner
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "object" and "properties" in schema:
        return {
            name: _outline(spec, property_schema, depth + 1) for name, property_schema in schema["properties"].items()
        }
    if schema.get("type") == "array":
        return [_outline(spec, schema["items"], depth + 1)]
    return _KINDS.get(schema.get("format", ""), _KINDS.get(schema.get("type", ""), "any"))


_KINDS = {
    "string": "text",
    "integer": "number",
    "number": "number",
    "boolean": "true | false",
    "date-time": "2026-03-31T09:30:00Z",
}


def _resolved(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema
