"""Every time window of the verdicts in one place, in seconds."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Windows:
    """Starting values from published logs. `scaled` multiplies all of them (setting INKLING_WINDOW_SCALE)."""

    # one hit
    heads_up: float = 10
    proxy_early: float = 60
    library_scan: float = 3600
    probable_network: float = 900
    microsoft_early: float = 60
    microsoft_late: float = 600
    mail_client_early: float = 3
    instant: float = 5
    early: float = 30
    gateway_mx: float = 600
    hosting_early: float = 300
    # the sequence of one message
    honeypot_anywhere: float = 30
    honeypot_network: float = 900
    burst_two: float = 1
    burst_three: float = 10
    rotation: float = 5
    same_moment: float = 1
    same_moment_until: float = 1800
    cloud_visit: float = 600
    spread: float = 900
    pair: float = 30
    # one address over the mail of many recipients
    cross_recipient: float = 60
    # exact duplicates
    duplicate_click: float = 10
    duplicate_open: float = 30
    # waiting before an alert
    settle_open_until: float = 120
    settle_open: float = 60
    settle_click_until: float = 900
    settle_click: float = 15
    settle_later: float = 5

    def scaled(self, factor: float) -> "Windows":
        """All windows multiplied by `factor`, which must be above zero."""
        if not factor > 0:
            raise ValueError(f"window scale must be above 0, not {factor}")
        return Windows(**{field.name: getattr(self, field.name) * factor for field in fields(self)})
