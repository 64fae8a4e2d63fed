"""What every resource of one person has: a list, one row, a new one, a change, a removal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from sqlmodel import Session
from starlette.responses import Response

from tracker.models.ownership import owned, owned_rows
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, PageQuery, page

Show = Callable[[Session, RequestContext, Any], BaseModel]


@dataclass(frozen=True)
class Resource:
    """``save`` takes None for a new row, and gives the row; ``texts`` are what the description says of list, get, post, patch and
    delete, in this order. All raise :class:`ActionError`."""

    plural: str
    singular: str
    model: type[Any]
    new: type[BaseModel]
    change: type[BaseModel]
    response: type[BaseModel]
    show: Show
    save: Callable[[Session, RequestContext, Any, Any], Any]
    remove: Callable[[Session, RequestContext, Any], None]
    texts: tuple[str, str, str, str, str]

    def find(self, session: Session, call: RequestContext, id: str) -> Any:
        return owned(session, self.model, call.user, id)

    def add_to(self, router: APIRouter, *, with_list: bool = True) -> None:
        """Adds its calls; without the list for one that has a filter or an order of its own."""
        if with_list:
            self._add(router, self._list, f"list_{self.plural}", "GET", "", 0, Listing[self.response])  # type: ignore[name-defined]
        by_id = "/{id}"
        self._add(router, self._post, f"post_{self.singular}", "POST", "", 2, self.response, status_code=201)
        self._add(router, self._get, f"get_{self.singular}", "GET", by_id, 1, self.response)
        self._add(router, self._patch, f"patch_{self.singular}", "PATCH", by_id, 3, self.response)
        self._add(
            router,
            self._delete,
            f"delete_{self.singular}",
            "DELETE",
            by_id,
            4,
            None,
            status_code=204,
            response_class=Response,
        )

    def _add(
        self,
        router: APIRouter,
        make: Callable[[], Any],
        name: str,
        method: str,
        tail: str,
        text: int,
        model: Any,
        **more: Any,
    ) -> None:
        call = make()
        call.__name__ = name
        router.add_api_route(
            f"/{self.plural}{tail}", call, methods=[method], description=self.texts[text], response_model=model, **more
        )

    def _list(self) -> Any:
        def rows(call: Caller, paged: PageQuery) -> Any:
            with call.reading() as session:
                rows, after = page(session, owned_rows(self.model, call.user), self.model, paged, newest_first=False)
                return Listing[Any](items=[self.show(session, call, row) for row in rows], next=after)

        return rows

    def _get(self) -> Any:
        def row(call: Caller, id: str) -> Any:
            with call.reading() as session:
                return self.show(session, call, self.find(session, call, id))

        return row

    def _post(self) -> Any:
        def added(call: Caller, new: Any) -> Response:
            return idempotent(
                call, lambda session: self.show(session, call, self.save(session, call, None, new)), status=201
            )

        added.__annotations__["new"] = self.new
        return added

    def _patch(self) -> Any:
        def changed(call: Caller, id: str, change: Any) -> Response:
            def work(session: Session) -> BaseModel:
                return self.show(session, call, self.save(session, call, self.find(session, call, id), change))

            return idempotent(call, work)

        changed.__annotations__["change"] = self.change
        return changed

    def _delete(self) -> Any:
        def removed(call: Caller, id: str) -> Response:
            return idempotent(
                call, lambda session: self.remove(session, call, self.find(session, call, id)), status=204
            )

        return removed
