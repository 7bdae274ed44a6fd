"""A token bucket: how often a peer may do what costs us more than it costs the peer."""


class TokenBucket:
    """`burst` at once, then `rate` per second. Untouched, it costs nothing."""

    __slots__ = ("at", "burst", "rate", "tokens")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self.burst = burst
        self.rate = rate
        self.tokens = burst
        self.at = now

    def take(self, now: float) -> bool:
        """Take one token; False when there is none."""
        tokens = self.tokens + (now - self.at) * self.rate
        self.at = now
        if tokens > self.burst:
            tokens = self.burst
        if tokens < 1.0:
            self.tokens = tokens
            return False
        self.tokens = tokens - 1.0
        return True
