"""What can go wrong between a lab device and the node, below HTTP statuses."""


class DeviceHttpError(Exception):
    """No (sound) response came: no connection, reset, end of stream, malformed, or too slow."""
