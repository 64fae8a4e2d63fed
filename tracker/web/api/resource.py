"""What every resource has: a list, one row, a new one, a change, a removal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel
from sqlmodel import Session, select
from starlette.responses import Response

from tracker.mail.fields import SingleLine
from tracker.models.ownership import owned, owned_rows
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, PageQuery, page

Find = Callable[[Session, RequestContext, str], Any]
ExternalIdInPath = Annotated[SingleLine, Path(min_length=1, max_length=200)]
"""May hold slashes."""


@dataclass(frozen=True)
class Resource:
    """``show`` answers rows, all of them in as many queries as one. ``save`` takes None for a new row, and gives the row; ``texts``
    are what the description says of list, get, post, patch and delete, in this order. ``find`` gives the row that may be changed,
    ``see`` the one that may be read, where that is more; without them the rows are a person's own. All raise :class:`ActionError`.
    """

    plural: str
    singular: str
    model: type[Any]
    new: type[BaseModel]
    change: type[BaseModel]
    response: type[BaseModel]
    show: Callable[[Session, RequestContext, Sequence[Any]], Sequence[BaseModel]]
    save: Callable[[Session, RequestContext, Any, Any], Any]
    remove: Callable[[Session, RequestContext, Any], object]
    texts: tuple[str, str, str, str, str]
    find: Find | None = None
    see: Find | None = None

    def row(self, session: Session, call: RequestContext, id: str) -> Any:
        return self.find(session, call, id) if self.find else owned(session, self.model, call.user, id)

    def shown(self, session: Session, call: RequestContext, row: Any) -> BaseModel:
        session.flush()
        return self.show(session, call, [row])[0]

    def act(
        self, call: RequestContext, id: str, work: Callable[[Session, Any], object], *, status: int = 200
    ) -> Response:
        """Does ``work`` with the row, and answers the row as it is then."""

        def done(session: Session) -> BaseModel:
            row = self.row(session, call, id)
            work(session, row)
            return self.shown(session, call, row)

        return idempotent(call, done, status=status)

    def listed(self, session: Session, call: RequestContext, rows: Sequence[Any], after: str | None) -> Any:
        return Listing[Any](items=list(self.show(session, call, rows)), next=after)

    def add_to(self, router: APIRouter, *, with_list: bool = True, with_post: bool = True) -> None:
        """Adds its calls; without the list where it has a filter or an order of its own, without the new one where that answers
        more."""
        of_list, of_get, of_post, of_patch, of_delete = self.texts
        by_id, response = "/{id}", self.response
        if with_list:
            self._add(router, self._list(), f"list_{self.plural}", "GET", "", of_list, Listing[response])  # type: ignore[valid-type]
        if with_post:
            self._add(router, self._post(), f"post_{self.singular}", "POST", "", of_post, response, status_code=201)
        self._add(router, self._get(), f"get_{self.singular}", "GET", by_id, of_get, response)
        self._add(router, self._patch(), f"patch_{self.singular}", "PATCH", by_id, of_patch, response)
        empty = {"status_code": 204, "response_class": Response}
        self._add(router, self._delete(), f"delete_{self.singular}", "DELETE", by_id, of_delete, None, **empty)

    def add_put(self, router: APIRouter, put: Callable[[Session, RequestContext, str, Any], tuple[Any, bool]]) -> None:
        """Adds the call that makes or changes the row that another program knows by an id of its own; ``put`` tells whether it
        is new."""

        def by_external_id(call: Caller, external_id: ExternalIdInPath, change: Any) -> Response:
            with call.writing() as session:
                row, is_new = put(session, call, external_id, change)
                body = self.shown(session, call, row).model_dump_json()
            return Response(body, 201 if is_new else 200, media_type="application/json")

        by_external_id.__annotations__["change"] = self.change
        name, tail = f"put_{self.singular}_by_external_id", "/by-external-id/{external_id:path}"
        text = (
            f"Makes the {self.singular} that another program knows by this id (201), or changes it (200). "
            "What is left out stays."
        )
        responses = {201: {"model": self.response}}
        self._add(router, by_external_id, name, "PUT", tail, text, self.response, responses=responses)

    def _add(
        self, router: APIRouter, call: Any, name: str, method: str, tail: str, text: str, model: Any, **more: Any
    ) -> None:
        call.__name__ = name
        path = f"/{self.plural}{tail}"
        router.add_api_route(path, call, methods=[method], description=text, response_model=model, **more)

    def _list(self) -> Any:
        def rows(call: Caller, paged: PageQuery) -> Any:
            query = select(self.model) if self.find else owned_rows(self.model, call.user)
            with call.reading() as session:
                return self.listed(session, call, *page(session, query, self.model, paged, newest_first=False))

        return rows

    def _get(self) -> Any:
        def row(call: Caller, id: str) -> Any:
            with call.reading() as session:
                return self.shown(session, call, (self.see or self.row)(session, call, id))

        return row

    def _post(self) -> Any:
        def added(call: Caller, new: Any) -> Response:
            def work(session: Session) -> BaseModel:
                return self.shown(session, call, self.save(session, call, None, new))

            return idempotent(call, work, status=201)

        added.__annotations__["new"] = self.new
        return added

    def _patch(self) -> Any:
        def changed(call: Caller, id: str, change: Any) -> Response:
            return self.act(call, id, lambda session, row: self.save(session, call, row, change))

        changed.__annotations__["change"] = self.change
        return changed

    def _delete(self) -> Any:
        def removed(call: Caller, id: str) -> Response:
            def work(session: Session) -> None:
                self.remove(session, call, self.row(session, call, id))

            return idempotent(call, work, status=204)

        return removed
