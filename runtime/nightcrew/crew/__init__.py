"""The agents at work: directory, actors, admission, executor, bus."""
