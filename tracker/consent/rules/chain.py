"""The chain of digests that shows whether a ledger was changed. Pure.

Each entry's digest covers the previous digest and the entry's facts. What may speak of the person (note, question, addresses …)
is covered through a digest of its own, salted: when it is erased together with its salt, the digest stays and the chain still
fits, and nobody can guess the words from it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def chain_digest(previous: str, facts: Mapping[str, Any]) -> str:
    """SHA-256 over the previous entry's digest and this entry's facts in canonical JSON."""
    return hashlib.sha256(f"{previous}\n{_canonical(facts)}".encode()).hexdigest()


def proof_digest(salt: str, proof: Mapping[str, Any]) -> str:
    """SHA-256 over a salt and what is erased with it."""
    return hashlib.sha256(f"{salt}\n{_canonical(proof)}".encode()).hexdigest()


def _canonical(facts: Mapping[str, Any]) -> str:
    return _WRITER.encode(facts)


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_written)
