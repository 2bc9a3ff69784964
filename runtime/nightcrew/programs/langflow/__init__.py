"""Running Langflow flows: the only place that imports lfx, and only inside functions, in workers."""
