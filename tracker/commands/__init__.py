"""The command line, one file per subject. Each function does one command and returns its exit code.

A file is loaded when one of its commands is called: what it imports is what the command has to wait for.
"""


class CommandError(Exception):
    """What was asked cannot be done; the text is one sentence for the operator."""
