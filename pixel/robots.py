"""Which programs that fetch pages are no people. Coarse on purpose: the worker judges visits again, with a longer list."""

import re
from functools import lru_cache

# Whole words, so that the phone called CUBOT is a person.
_ROBOT = re.compile(
    r"(?<![a-z])[a-z0-9_.\- ]*(?<!cu)bot(?![a-z])|crawl|spider|slurp|mediapartners|headlesschrome|phantomjs|lighthouse|"
    r"prerender|facebookexternalhit|whatsapp/|telegrambot|embedly|python-|curl/|wget/|go-http|java/|okhttp|axios|node-fetch|"
    r"httpclient|libwww|scrapy|pagespeed|gtmetrix|pingdom|uptime|monitor|validator|preview|bytespider|yandex(?:bot|images|metrika|"
    r"direct|market|webmaster|favicons|mobile|accessibility)|google(?:bot|other|-|web|producer)|adsbot|apis-google|bingpreview",
    re.IGNORECASE,
)


@lru_cache(4096)
def is_robot(user_agent: str) -> bool:
    """Whether a browser says that it is none, or says nothing at all."""
    return not user_agent or _ROBOT.search(user_agent) is not None


_DEVICES = (
    ("tablet", re.compile(r"ipad|tablet|kindle|silk|playbook|android(?!.*mobile)", re.IGNORECASE)),
    ("phone", re.compile(r"mobi|iphone|ipod|android|windows phone", re.IGNORECASE)),
)


@lru_cache(4096)
def device_of(user_agent: str) -> str:
    """phone, tablet or desktop."""
    return next((name for name, pattern in _DEVICES if pattern.search(user_agent)), "desktop")
