"""The effects that are not the store's: clock, ids, logging."""
