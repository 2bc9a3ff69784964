"""The use cases, whoever asks, and the catalog of what `up` was given."""
