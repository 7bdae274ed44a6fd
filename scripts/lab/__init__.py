"""The peers of a laptop lab: AAA server, phone, subscribers."""
