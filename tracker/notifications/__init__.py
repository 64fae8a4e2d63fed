"""Telling a person something: the bell, notices by mail, the digest."""
