"""The store on one SQLite file: WAL, synchronous=FULL, one writer with group commit, readers beside it."""
