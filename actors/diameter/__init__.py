"""Diameter peers, routing, and the SWm/SWa client."""
