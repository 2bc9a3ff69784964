"""WHAT runs: Python objects and Langflow flows, loaded and called."""
