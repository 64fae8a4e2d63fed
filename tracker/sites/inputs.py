"""What a person says of sites, blocks, sources and rules, on their page or through the API."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tracker.mail.fields import ChangeModel, EmailAddress, Name, RequestModel, SingleLine, Text

Id = Annotated[SingleLine, Field(min_length=1, max_length=120)]
Ids = Annotated[list[Id], Field(max_length=200)]
RuleType = Literal["site_emails", "external_area"]
TrackingType = Literal["static", "dynamic"]
TrafficType = Literal["all", "custom_sources"]
SubstitutionType = Literal["auto_generation", "auto_short", "manual_pool"]
RuleState = Literal["active", "draft"]
MOST_ADDRESSES = 10_000


class SiteChange(ChangeModel):
    """What to change of a site; what is left out stays."""

    name: Annotated[Name, Field(min_length=1)] = ""
    hosts: Annotated[list[Annotated[SingleLine, Field(max_length=300)]], Field(min_length=1, max_length=100)] = []
    session_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    cookie_days: Annotated[int, Field(ge=1, le=400)] = 400
    attribution: Literal["last_non_direct", "last"] = "last_non_direct"
    consent_mode: bool = False
    ignore_robots: bool = True
    ignored_referrers: Annotated[list[Annotated[SingleLine, Field(max_length=300)]], Field(max_length=100)] = []


class NewSite(SiteChange):
    """A website whose addresses are to be swapped."""

    name: Annotated[Name, Field(min_length=1)]
    hosts: Annotated[list[Annotated[SingleLine, Field(max_length=300)]], Field(min_length=1, max_length=100)]


class Selector(RequestModel):
    """``email`` finds an address in the page; the others take elements, and every address in them."""

    attribute: Literal["email", "id", "class", "name", "selector"]
    value: Annotated[SingleLine, Field(min_length=1, max_length=500)]


class BlockChange(ChangeModel):
    """What to change of a block; what is left out stays."""

    name: Annotated[Name, Field(min_length=1)] = ""
    sites: Ids = []
    selectors: Annotated[list[Selector], Field(min_length=1, max_length=100)] = []


class NewBlock(BlockChange):
    """A place on the pages where an address stands."""

    name: Annotated[Name, Field(min_length=1)]
    selectors: Annotated[list[Selector], Field(min_length=1, max_length=100)]


class BlockSearch(RequestModel):
    """Where does an address stand? In the page given as HTML, else in what the snippet has seen."""

    site: Id
    email: EmailAddress
    html: Annotated[Text, Field(max_length=900_000)] | None = None


class SourceChange(ChangeModel):
    """What to change of a source; what is left out stays."""

    name: Annotated[Name, Field(min_length=1)] = ""
    channel: Annotated[SingleLine, Field(min_length=1, max_length=100)] = ""
    group: Annotated[SingleLine, Field(max_length=100)] | None = None
    conditions: dict[str, Any] | None = Field(
        default=None,
        description="{“all”: […]} or {“any”: […]} of {“field”, “operator”, “value”} or of one more such level. Without conditions "
        "a source stands for its whole group, or its whole channel.",
    )


class NewSource(SourceChange):
    """A source of one’s own; the first that fits a visit wins."""

    name: Annotated[Name, Field(min_length=1)]
    channel: Annotated[SingleLine, Field(min_length=1, max_length=100)]


class StaticSetting(RequestModel):
    """A real address for the visitors of one source (``source`` null: all other traffic). Letters to it are attributed to
    ``default_source``. Without an address it is the mailbox’s own."""

    blocks: Ids = []
    address: EmailAddress | None = None
    email_account: Id | None = None
    source: Id | None = None
    default_source: Id | None = None


class ExternalSetting(RequestModel):
    """An address that is placed outside the site: on a listing, in print."""

    address: EmailAddress | None = None
    email_account: Id | None = None
    source: Id | None = None


class DynamicSetting(RequestModel):
    """Addresses of each visitor’s own, over some blocks: made from the mailbox’s address, or out of ``addresses``."""

    blocks: Ids = []
    email_account: Id | None = None
    addresses: Annotated[list[EmailAddress], Field(max_length=MOST_ADDRESSES)] = []


class RuleChange(ChangeModel):
    """What to change of a rule; what is left out stays. ``probe``: “skip” lets an administrator vouch that letters arrive."""

    name: Annotated[Name, Field(min_length=1)] = ""
    description: Annotated[Text, Field(max_length=2000)] = ""
    rule_type: RuleType = "site_emails"
    tracking_type: TrackingType = "dynamic"
    traffic_type: TrafficType = "all"
    substitution_type: SubstitutionType | None = None
    state: RuleState = "draft"
    sources: Ids = []
    static_settings: Annotated[list[StaticSetting], Field(max_length=500)] = []
    external_settings: Annotated[list[ExternalSetting], Field(max_length=500)] = []
    dynamic_settings: Annotated[list[DynamicSetting], Field(max_length=50)] = []
    lease_minutes: Annotated[int, Field(ge=5, le=10_080)] | None = None
    rest_days: Annotated[int, Field(ge=0, le=365)] = 7
    probe: Literal["skip"] | None = None


class NewRule(RuleChange):
    """Who sees which address in which blocks."""

    name: Annotated[Name, Field(min_length=1)]
    rule_type: RuleType
    tracking_type: TrackingType


class PriorityMove(RequestModel):
    """Where to: the first that fits wins."""

    move: Literal["up", "down", "top", "bottom"]


class PreviewVisit(RequestModel):
    """A visit that might be: what would it get, and why? A draft given by its id counts as if it were active."""

    site: Id
    page: Annotated[Text, Field(max_length=4000)] = ""
    referrer: Annotated[Text, Field(max_length=4000)] = ""
    device: Annotated[SingleLine, Field(max_length=16)] = ""
    language: Annotated[SingleLine, Field(max_length=35)] = ""
    country: Annotated[SingleLine, Field(max_length=60)] = ""
    region: Annotated[SingleLine, Field(max_length=60)] = ""
    city: Annotated[SingleLine, Field(max_length=60)] = ""
    rule: Id | None = None
