"""Raw mail as it travels: header fields, parts, encodings, charsets. Pure; nothing here raises on bad mail."""
