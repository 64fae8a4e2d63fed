"""pytracking's Django view as it ships: reads the data from the address, sends the image, and keeps nothing itself."""

import pytracking
from django.urls import path
from pytracking.django import OpenTrackingView

from tests.bench.edge_peers.django_site import site

_ADDRESS = "https://track.example/open/"
TARGET = (
    pytracking.get_open_tracking_url({"delivery": "AAECAwQFBgc"}, base_open_tracking_url=_ADDRESS)
    .removeprefix("https://track.example")
)  # fmt: skip

app = site(__name__, [], PYTRACKING_CONFIGURATION={"base_open_tracking_url": _ADDRESS})
urlpatterns = [path("open/<path:path>", OpenTrackingView.as_view())]
