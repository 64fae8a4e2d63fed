"""Dates and deadlines of the authorities, from summaries of law firms and vendors (read in November 2026)."""

from typing import NamedTuple

from tracker.locale import N_


class Deadline(NamedTuple):
    where: str
    when: str
    what: str
    source: str


DEADLINES = (
    Deadline(
        "EU",
        "1 month",
        N_("Answer a request for access, erasure, restriction or portability (two more months when it is complex)"),
        "GDPR Art. 12(3)",
    ),
    Deadline("EU", "72 h", N_("Report a breach to the supervisory authority"), "GDPR Art. 33"),
    Deadline(
        "EU",
        "at once",
        N_("Stop measuring after a withdrawal; here it takes under a second, for delivered mail too"),
        "GDPR Art. 7(3)",
    ),
    Deadline(
        "EU", "2024-10-07", N_("Tracking pixels and links are within Art. 5(3) ePrivacy"), "EDPB Guidelines 2/2023"
    ),
    Deadline(
        "FR",
        "2026",
        N_("Consent for individual measuring of opens; old lists: information and easy objection within three months"),
        "CNIL 2026-042",
    ),
    Deadline(
        "IT",
        "2026, six months",
        N_("Consent, granular withdrawal, the same mail for whoever refuses"),
        "Garante 284/2026",
    ),
    Deadline(
        "DE",
        "2025-12",
        N_("Consent for individual pixels; legitimate interest rejected"),
        "DSK, 110th conference; § 25 TDDDG",
    ),
    Deadline(
        "UK",
        "2026-04-29",
        N_("Pixels and decorated links are in scope; fines at the level of the GDPR"),
        "ICO; PECR reg. 6",
    ),
)
