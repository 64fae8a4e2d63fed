"""The page of a person's story, from the list of recipients and from that of customers."""

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from tracker.models import User
from tracker.privacy.views import note_view
from tracker.runtime.paging import Cursor
from tracker.web.http.templating import context_of, render
from tracker.web.recipients.person import Person, consent_sentence, facts_of
from tracker.web.recipients.story import read_story


def story_page(
    request: Request, session: Session, user: User, person: Person, *, of_customer: bool = False
) -> Response:
    """From ``cursor`` on, where the page before ended; with ``part=story`` only what changes while one looks."""
    cursor = request.query_params.get("cursor", "")
    story = read_story(session, user, person, Cursor.parse(cursor) if cursor else None)
    context = {
        "person": person,
        "story": story,
        "facts": facts_of(session, user, person),
        "older": f"?cursor={story.next}" if story.next else "",
        "is_older": bool(cursor),
        "tab": "story",
        "of_customer": of_customer,
        "consent_sentence": consent_sentence,
    }
    is_part = request.query_params.get("part") == "story"
    note_view(context_of(request), user, "recipient", person.numbers)
    return render(request, "recipients/_person_live.html" if is_part else "recipients/person.html", context)
