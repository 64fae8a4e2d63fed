from tests.inbound.arrivals import alice, inbox  # noqa: F401  (fixtures)
