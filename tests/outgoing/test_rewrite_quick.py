"""The quick reading finds what the tokenizer's reading finds, or says that it cannot tell."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.outgoing.test_rewrite_properties import PIECES
from tracker.outgoing import one_time_links, quoted
from tracker.outgoing.leave_alone import is_one_time, may_be_one_time
from tracker.outgoing.survey import Survey

USUAL = [
    *(
        '<p class="a">',
        "<p>",
        "</p>",
        "<span>",
        "</span>",
        '<td style="color:red">',
        "<br/>",
        "<hr>",
        "<o:p></o:p>",
        "<ul>",
    ),
    *(
        "<style>p{}</style>",
        "<title>t</title>",
        "<script>x</script>",
        "<textarea>",
        "</textarea>",
        "<!-- c -->",
        "<!doctype html>",
    ),
    *(
        "<head>",
        "</head>",
        "<body>",
        "</body>",
        "<html>",
        "</html>",
        "<div>",
        "</div>",
        "<div hidden>",
        '<div id="preheader">',
    ),
    *(
        '<a href="https://x.example/?a=1&amp;b=2">',
        '<a class="b" href="https://y.example">',
        "link",
        "</a>",
        " ",
        "&nbsp;",
    ),
    *(
        '<a data-no-track="" href="https://n.example/">',
        "<a data-no-track href='https://n.example/'>",
        '<a href="{{x}}">',
    ),
    *(
        '<a name="x">',
        '<area href="https://z.example" alt="q">',
        '<base href="https://b.example/">',
        '<img src="x" alt="y">',
    ),
    *(
        '<div class="gmail_quote">',
        "<blockquote>",
        "</blockquote>",
        "<div id=divRplyFwdMsg>",
        '<span class="gmail_quote">',
    ),
    *(
        '<div style="border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in">',
        '<!--[if mso]><v:rect href="https://v.example/">x</v:rect>',
    ),
    *(
        "<![endif]-->",
        "<![if !mso]>",
        "<![endif]>",
        '<p title="a>b">',
        "<p title='\"'>",
        '<p a=b"c>',
        '<p ="x">',
        "<P>",
        "<3",
    ),
]
documents = st.lists(st.sampled_from(USUAL + PIECES), max_size=30).map("".join)


class Careful(Survey):
    """The tokenizer's reading, whatever the document."""

    def _skim(self) -> bool:
        return False


def seen_in(survey: Survey) -> list[object]:
    links = [(one.value, one.start, one.end, one.quote, one.visible_text(survey.html)) for one in survey.links]
    marks = [(one.text_end, one.quoted, one.marks) for one in survey.links]
    images = [(one.start, one.end, one.source, one.quoted) for one in survey.images]
    return [links, marks, images, survey.marks, survey.base, survey.first_place, survey.last_place]


@given(documents)
@settings(max_examples=1000)
def test_both_readings_agree(html: str) -> None:
    assert seen_in(Survey(html)) == seen_in(Careful(html))


@pytest.mark.parametrize("mark", quoted.WITHIN + quoted.FROM_HERE)
def test_every_mark_of_quoted_history_is_seen_by_both(mark: str) -> None:
    name = "style" if ":" in mark else "class"
    for value in (mark, mark.upper(), f"x {mark}"):
        html = f'<p>new</p><div {name}="{value}"><a href="https://x.example/">old</a></div>'
        assert Survey(html).links[0].quoted is True
        assert seen_in(Survey(html)) == seen_in(Careful(html))


ONE_TIME = [
    "https://x.example/password/reset?token=abcdefgh",
    "https://x.example/u?confirmation_token=a",
    "https://x.example/f?x-amz-signature=a",
    "https://calendar.google.com/calendar/ical/a/private-b",
    "https://calendly.com/cancellations/a",
    "https://outlook.office365.com/owa/a/accept",
    "https://app.cal.com/booking/a",
    "https://us02web.zoom.us/w/1",
    "https://eu.docusign.net/signing/a",
    "https://secure.echosign.com/a",
    "https://x.documents.adobe.com/a",
    "https://app.hellosign.com/sign/a",
    "https://sign.dropbox.com/sign/a",
    "https://app.pandadoc.com/s/a",
    "https://app.signnow.com/s/a",
    "https://sign.zoho.eu/a",
    "https://app.eversign.com/a",
    "https://app.yousign.com/a",
    "https://app.signrequest.com/a",
    "https://app.skribble.com/a",
    "https://app.contractbook.com/a",
    "https://checkout.stripe.com/c/pay/a",
]


@pytest.mark.parametrize("url", ONE_TIME)
def test_an_address_of_one_use_is_found_among_others(url: str) -> None:
    host = url.split("/")[2]
    assert is_one_time(url)
    assert may_be_one_time(["https://x.example/", url, "https://y.example/"], {"x.example", host, "y.example"})
    assert not may_be_one_time(["https://x.example/about"], {"x.example"})


def test_every_place_is_named_above() -> None:
    for part in one_time_links.PLACE_HOSTS:
        assert any(part in url for url in ONE_TIME), part
