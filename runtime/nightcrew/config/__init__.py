"""Settings: flags, NIGHTCREW_* variables and nightcrew.toml."""
