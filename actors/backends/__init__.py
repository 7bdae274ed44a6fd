"""Outward systems: the BSS."""
