"""The trace of one subscriber that an operator can arm."""
