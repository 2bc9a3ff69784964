"""Webhooks: who a sender is, which delivery this is, and what its request becomes as an input."""
