"""The folders of a mailbox, as sending and receiving both know them."""

from tracker.mail_folders import Folder, decoded, folders_of, watched

__all__ = ["Folder", "decoded", "folders_of", "watched"]
