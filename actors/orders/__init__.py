"""eSIM orders: the durable saga from a device's request to an active profile."""
