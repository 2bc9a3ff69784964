"""The adapters of the port Store, a folder each."""
