"""Worker processes: started by spawn, many runs in one, ended with the runtime."""
