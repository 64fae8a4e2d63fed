"""The HTTP API, version 1: a FastAPI application that the web role mounts at ``/api/v1``."""

from tracker.web.api.app import create_api, mounted
