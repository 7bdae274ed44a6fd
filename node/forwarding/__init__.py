"""Requests that reach a worker whose session is in another one, over Unix sockets."""
