"""The contract as Python: generated from proto/nightcrew/v1 by `make proto`, never edited by hand."""
