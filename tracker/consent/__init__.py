"""Consent: its rules, the ledger, requests, preference links, replies that ask to stop."""
