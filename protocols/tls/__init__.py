"""What is on the wire of TLS, as far as it is looked at without a handshake."""
