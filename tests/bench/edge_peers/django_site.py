"""What the peers that are Django applications share: a site on SQLite, set as safely as our own spool."""

import os
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application


def site(urls: str, applications: list[str], **more: Any) -> Any:
    """Configures Django for the folder in `BENCH_FOLDER` and gives its ASGI application."""
    settings.configure(
        SECRET_KEY="only-for-the-benchmark-0123456789-0123456789",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=urls,
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", *applications],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        LOGGING_CONFIG=None,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": Path(os.environ["BENCH_FOLDER"]) / "peer.sqlite3",
                "CONN_MAX_AGE": None,
                "OPTIONS": {
                    "transaction_mode": "IMMEDIATE",
                    "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
                },
            }
        },
        **more,
    )
    django.setup()
    return get_asgi_application()
