"""Who made a hit: rules over plain values, verdicts with their reasons. Pure."""
