"""WHERE it runs: on this loop, or in worker processes."""
