"""Long measurements: each answers `{"name", "figures", "peer", "ratio", "machine", "command"}` and can be resumed."""
