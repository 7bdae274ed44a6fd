"""Several processes as one node: their supervisor, and what it and they say to each other."""
