"""Passwords of a form that is refused for another field: the page gets them back sealed, so that nobody types them twice and no
page ever shows one."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping

from starlette.datastructures import FormData

from tracker.runtime.context import AppContext
from tracker.runtime.keyring import Undecryptable
from tracker.web.http.forms import FormErrors, secret, text

LIFE_SECONDS = 1800
SUFFIX = "_typed"
"""The hidden field beside the password ``secret`` is ``secret_typed``."""


def with_typed_secrets(context: AppContext, form: FormData, names: Collection[str], owner: str) -> FormData:
    """The form with what :func:`typed_secrets` gave the page in the place of passwords that are empty now."""
    filled = {name: _open(context, text(form, name + SUFFIX), name, owner) for name in names if not secret(form, name)}
    return FormData([*((k, v) for k, v in form.multi_items() if not filled.get(k)), *filled.items()])


def typed_secrets(
    context: AppContext, form: FormData, names: Collection[str], owner: str, wrong: FormErrors
) -> Mapping[str, str]:
    """Each password of the form that is not itself wrong, by name, for the hidden field: good for this form of this owner (a public
    id, empty for a visitor), for half an hour."""
    typed = {name: secret(form, name) for name in names if not wrong.get(name)}
    return {name: _seal(context, value, name, owner) for name, value in typed.items() if value}


def _seal(context: AppContext, value: str, name: str, owner: str) -> str:
    plain = f"{int(time.time())} {value}".encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(context.keyring.encrypt(plain, _record(name, owner))).decode()


def _open(context: AppContext, sealed: str, name: str, owner: str) -> str:
    try:
        plain = context.keyring.decrypt(urlsafe_b64decode(sealed.encode()), _record(name, owner))
    except (Undecryptable, ValueError):
        return ""
    at, _space, value = plain.decode("utf-8", "surrogatepass").partition(" ")
    return value if time.time() - int(at) <= LIFE_SECONDS else ""


def _record(name: str, owner: str) -> str:
    return f"typed:{owner}:{name}"
