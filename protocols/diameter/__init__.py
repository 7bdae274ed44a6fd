"""Diameter base protocol (RFC 6733), SWm and SWa (TS 29.273)."""
