"""emark as it is documented: an open is a row with all headers, written before the answer."""

import uuid

from django.core.management import call_command
from django.urls import include, path

from tests.bench.edge_peers.django_site import site

SENT = uuid.UUID("00000000-0000-4000-8000-000000000001")
TARGET = f"/emark/{SENT}/open"

app = site(__name__, ["emark"])
urlpatterns = [path("emark/", include("emark.urls"))]


def prepare() -> None:
    """The tables, and one sent mail to be opened."""
    from emark.models import Send

    call_command("migrate", verbosity=0)
    Send.objects.get_or_create(pk=SENT, defaults={"from_email": "a@example.org", "subject": "s", "body": "b"})


if __name__ == "__main__":
    prepare()
