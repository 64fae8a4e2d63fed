"""Every limit of the product in one place, each with its reason or source."""

MAX_ATTACHMENT_BYTES = 25 * 1024 * 1024
"""All attachments of one message together: what Gmail and most others take."""

MAX_RECIPIENTS = 100
"""Recipients of one message. One-to-one mail; RFC 5321 section 4.5.3.1.8 asks servers for at least 100."""

MAX_SUBJECT = 500
"""Characters of a subject."""

MAX_BODY_BYTES = 5 * 1024 * 1024
"""Bytes of HTML or text of one message, attachments apart."""

MAX_GIVE_UP_HOURS = 48
"""How long a temporary refusal is tried again: less than the four to five days of RFC 5321 section 4.5.4.1, for people who wait."""

GMAIL_CLIPS_AT = 102_400
"""Bytes of HTML after which Gmail hides the rest behind a link."""

MAX_SUBMITTED_BYTES = 36 * 1024 * 1024
"""Bytes of a message handed in by a mail program: the attachments above in base64 with its line ends, and some text."""

MAX_MESSAGES_PER_HOUR = 1_000
"""Messages that one person may hand in by the gateway within an hour: far beyond one-to-one mail, short of a stolen token's use."""

MAX_WRONG_TOKENS = 10
"""Wrong sign-ins at the gateway, for one login from one address, that go without a pause. Ten times as many for all logins."""

MAX_LITERAL_BYTES = 16 * 1024 * 1024
"""Bytes that an IMAP server may announce in one piece; more is loaded in parts."""

MAX_WHOLE_LETTER = 10 * 1024 * 1024
"""Bytes of a letter up to which it is loaded in one piece and handled in memory; larger ones go to disk in parts."""

MAX_LETTER = 40 * 1024 * 1024
"""Bytes of a letter up to which it is loaded at all; of larger ones the beginning alone is."""

MAX_LETTER_BEGINNING = 1024 * 1024
"""Bytes of that beginning: header section and, nearly always, the first text."""

LISTENED_MAILBOXES = 100
"""Mailboxes that one worker listens to at once unless the operator says otherwise: a connection and a file descriptor each."""

MOST_LISTENED_MAILBOXES = 500
"""What the operator may say at most: below half of the 1,024 file descriptors that a process has as a rule."""
