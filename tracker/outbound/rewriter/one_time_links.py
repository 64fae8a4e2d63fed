"""Data: addresses that must not pass through a redirect because following them uses them up or because they are signed.

Written down 2026-10 from the vendors' public link formats. A pattern is matched against the address in lower case.
"""

PROVING_PARAMETER = (
    r"(?:[a-z_.\-]*token|code|key|otp|totp|pin|ticket|nonce|hash|hmac|sig|signature|jwt|secret|auth|oobcode"
    r"|verification|activation|invitation|confirmation|rid|uid|t|k|h)=[^&#]{6,}"
)
"""Beginning of a query parameter whose name says that it proves something."""

RANDOM_SEGMENT = r"/(?=[a-z_\-]*[0-9])[0-9a-z_\-=.~]{20,}(?:[/?#]|$)"
"""A part of the path that nobody would type: twenty characters or more, digits among them."""

ONE_TIME_WORD = (
    r"[/=?&_\-.](?:"
    r"a(?:ctivat(?:e|ion)|ccept|uth(?:enticate)?)|confirm(?:ation)?|forgot|invit(?:e|ation|es)"
    r"|log(?:in|on|-in)|magic(?:link)?|o(?:tp|ne-?time|pt-?in)|p(?:ass(?:word(?:less)?|wort|wd)|wd)|re(?:set|cover(?:y)?)"
    r"|s(?:ign(?:in|-in|_in)|so)|unlock|v(?:erif(?:y|ication)|alidate)"
    r")(?=[/?&#=_\-.]|$)"
)
"""A word of sign-in, reset, confirmation and invitation links; counts together with one of the two above."""

PARAMETERS = (
    # A one-time secret whatever the path says.
    "(?:reset_password|password_reset|confirmation|invitation|unlock|login|magic|one_time|otp|signin|auth|access|id)_token=",
    "(?:oobcode|magic_link)=",
    # Pre-signed storage: S3 and its likes, Google Cloud, Alibaba, Tencent, Huawei; CloudFront; Azure.
    "x-(?:amz|goog|oss|cos|obs)-(?:signature|credential|security-token)=",
    "(?:key-pair-id|q-signature)=",
    "(?:signature|sig)=[^&#]+&(?:[^#]*&)?(?:expires|se|exp)=",
    "(?:expires|se|exp)=[^&#]+&(?:[^#]*&)?(?:signature|sig)=",
)
"""Beginnings of a query parameter that suffice by themselves."""

PLACES = (
    # Calendar: answers to an invitation, a guest's own booking, a private feed, a guest's own way into a meeting.
    (r"(?:calendar|www)\.google\.[a-z.]+", r"calendar/event\?.*\baction=respond"),
    (r"calendar\.google\.com", r"calendar/ical/.*/private-"),
    (r"calendly\.com", r"(?:cancellations|reschedulings|invitees)/"),
    (r"outlook\.(?:office|office365|live)\.com", r"(?:calendar|owa)/.*(?:reject|accept|tentative|rsvp)"),
    (r"(?:[a-z0-9\-]+\.)?cal\.com", r"(?:booking|reschedule)/"),
    (r"(?:[a-z0-9\-]+\.)?zoom\.us", r"w/"),
    # Signatures on documents.
    (r"(?:[a-z0-9\-]+\.)*docusign\.(?:net|com)", r"(?:signing|member|envelopes|documents)"),
    (r"(?:[a-z0-9\-]+\.)*(?:adobesign|echosign|documents\.adobe)\.com", ""),
    (r"app\.(?:hellosign|dropboxsign)\.com", r"(?:sign|editor|t)/"),
    (r"(?:sign|app)\.dropbox\.com", r"sign/"),
    (r"app\.pandadoc\.com", r"(?:document|s)/"),
    (r"(?:app\.)?signnow\.com", r"s/"),
    (
        r"sign\.zoho\.[a-z.]+|(?:app\.)?eversign\.com|app\.yousign\.com|(?:app\.)?signrequest\.com|app\.skribble\.com"
        r"|app\.contractbook\.com",
        "",
    ),
    # A payment page made for one customer.
    (r"checkout\.stripe\.com", r"(?:c/)?pay/"),
    (r"(?:invoice|pay)\.stripe\.com", r"i/"),
)
"""Hosts, each with the beginning of the paths behind `/` that suffice by themselves."""
