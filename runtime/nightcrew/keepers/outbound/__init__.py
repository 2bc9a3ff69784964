"""The way of the runtime's own facts to the outside: one courier for each outbound hook."""
