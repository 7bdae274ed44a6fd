"""ES2+: how an operator orders eSIM profiles from an SM-DP+ (GSMA SGP.22 §5.3, §6.5)."""
