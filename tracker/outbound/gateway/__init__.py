"""The SMTP gateway for mail programs."""
