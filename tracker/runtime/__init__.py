"""What everything else stands on: settings, database, keys, leases, wake-ups, language."""
