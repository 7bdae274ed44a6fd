"""Step-function actors, timers, supervision."""
