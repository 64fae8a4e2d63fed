"""Moved to :mod:`tracker.mail_exchangers`."""

from tracker.mail_exchangers import GATEWAYS, PUBLIC_DOMAINS, family, provider

__all__ = ["GATEWAYS", "PUBLIC_DOMAINS", "family", "provider"]
