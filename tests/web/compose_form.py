"""The form of a message, as a browser without scripts sends it."""

import httpx

ALL = {"to": "anna@example.org", "subject": "Offer", "text": "Hello Anna", "track_opens": "on", "track_links": "on"}


def send(client: httpx.Client, path: str = "/compose", **form: str) -> httpx.Response:
    """What sending answers; ``form`` replaces fields of `ALL`."""
    return client.post(path, data={**ALL, "do": "send", **form})
