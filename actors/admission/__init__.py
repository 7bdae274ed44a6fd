"""Admission: what may begin when not everything can be finished."""
