"""Letters from IMAP and POP3 servers: when, by whom, in which order, and what becomes of those that fail."""
