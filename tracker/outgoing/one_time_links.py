"""Data: addresses that must not pass through a redirect because following them uses them up or because they are signed.

Written down 2026-10 from the vendors' public link formats. A pattern is matched against the address in lower case.
"""

PROVING_PARAMETER = (
    r"[?&#;](?:[a-z_.\-]*token|code|key|otp|totp|pin|ticket|nonce|hash|hmac|sig|signature|jwt|secret|auth|oobcode"
    r"|verification|activation|invitation|confirmation|rid|uid|t|k|h)=[^&#]{6,}"
)
"""A query parameter whose name says that it proves something."""

RANDOM_SEGMENT = r"/(?=[a-z_\-]*[0-9])[0-9a-z_\-=.~]{20,}(?:[/?#]|$)"
"""A part of the path that nobody would type: twenty characters or more, digits among them."""

ONE_TIME_WORD = (
    r"[/=?&_\-.](?:reset|password|passwort|passwd|pwd|forgot|recover|recovery|unlock|magic|magiclink|login|signin|logon"
    r"|sign-in|log-in|sign_in|passwordless|otp|sso|one-time|onetime|verify|verification|confirm|confirmation|activate"
    r"|activation|invite|invitation|invites|accept|auth|authenticate|optin|opt-in|validate)(?=[/?&#=_\-.]|$)"
)
"""A word of sign-in, reset, confirmation and invitation links; counts together with one of the two above."""

ALWAYS = (
    # Parameters that are a one-time secret whatever the path says.
    r"[?&#](?:reset_password_token|password_reset_token|confirmation_token|invitation_token|unlock_token|login_token"
    r"|magic_token|magic_link|one_time_token|otp_token|signin_token|auth_token|access_token|id_token|oobcode)=",
    # Pre-signed storage: S3 and its likes, Google Cloud, Azure, CloudFront, Alibaba, Tencent.
    r"[?&]x-(?:amz|goog|oss|cos|obs)-(?:signature|credential|security-token)=",
    r"[?&](?:signature|sig)=[^&#]+&(?:.*&)?(?:expires|se|exp)=",
    r"[?&](?:expires|se|exp)=[^&#]+&(?:.*&)?(?:signature|sig)=",
    r"[?&]key-pair-id=",
    r"[?&]q-signature=",
    # Calendar: answers to an invitation, a guest's own booking, a private feed.
    r"//(?:calendar|www)\.google\.[a-z.]+/calendar/event\?.*\baction=respond",
    r"//calendar\.google\.com/calendar/ical/.*/private-",
    r"//calendly\.com/(?:cancellations|reschedulings|invitees)/",
    r"//outlook\.(?:office|office365|live)\.com/(?:calendar|owa)/.*(?:reject|accept|tentative|rsvp)",
    r"//(?:[a-z0-9\-]+\.)?cal\.com/(?:booking|reschedule)/",
    r"//(?:[a-z0-9\-]+\.)?zoom\.us/w/",
    # Signatures on documents.
    r"//(?:[a-z0-9\-]+\.)*docusign\.(?:net|com)/(?:signing|member|envelopes|documents)",
    r"//(?:[a-z0-9\-]+\.)*(?:adobesign|echosign|documents\.adobe)\.com/",
    r"//app\.(?:hellosign|dropboxsign)\.com/(?:sign|editor|t)/",
    r"//(?:sign|app)\.dropbox\.com/sign/",
    r"//(?:app\.pandadoc\.com/(?:document|s)|(?:app\.)?signnow\.com/s|sign\.zoho\.[a-z.]+|eversign\.com|app\.eversign\.com"
    r"|app\.yousign\.com|(?:app\.)?signrequest\.com|app\.skribble\.com|app\.contractbook\.com|secure\.na[0-9]\.adobesign\.com)/",
    # A payment page made for one customer.
    r"//(?:checkout\.stripe\.com/(?:c/)?pay|(?:invoice|pay)\.stripe\.com/i)/",
)
"""Patterns that suffice by themselves."""
