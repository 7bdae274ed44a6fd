"""HTTP messages, whichever version carried them."""
