"""What can be wrong with something that the SM-DP+ sent."""


class Es2PlusError(ValueError):
    """The body is not what the function's schema says. The text quotes nothing of it."""
