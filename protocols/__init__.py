"""What is on the wire: codecs and state machines without sockets, clock or randomness."""
