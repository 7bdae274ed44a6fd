"""Where partners connect to the node: SM-DP+ that report profile downloads, over mutual TLS."""
