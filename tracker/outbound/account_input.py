"""What a person says of a sending account, on its page or through the API."""

from typing import Annotated

from pydantic import Field

from tracker.mail.fields import ChangeModel, EmailAddress, Host, Name, Port, Preset, Secret, Security, SingleLine


class ServerChange(ChangeModel):
    """A mail server. What is left out comes from the preset, from the security (port), or stays as it was."""

    host: Host = ""
    port: Port = 0
    security: Security = "starttls"
    login: Annotated[SingleLine, Field(max_length=254)] = ""
    secret: Annotated[Secret, Field(max_length=8192)] | None = Field(
        default=None, description="Password, app password or token. Written, never shown; null or empty forgets it."
    )


class AccountChange(ChangeModel):
    """What to change; what is left out stays. ``imap: null`` files no copies in the Sent folder."""

    name: Name = ""
    address: EmailAddress = ""
    preset: Preset = "other"
    smtp: ServerChange = ServerChange()
    imap: ServerChange | None = None
    replaces_copy: bool = Field(
        default=False, description="Where the service files a copy of its own: replace it by the clean one."
    )
    per_minute: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="Copies a minute; null is what the service takes, 0 no limit."
    )
    per_day: Annotated[int, Field(ge=0, le=100_000)] | None = Field(
        default=None, description="Copies a day; null is what the service takes, 0 no limit."
    )
    measure_opens: bool = Field(
        default=True,
        description="Whether opens of mail from this account may be measured, whatever its messages ask for.",
    )
    measure_clicks: bool = Field(default=True, description="The same of clicks.")


class NewAccount(AccountChange):
    """A new account. With a ``preset`` the servers are known; ``smtp.secret`` serves both unless ``imap.secret`` is given."""

    address: EmailAddress
