"""What is wrong with a request, as the status that says so."""


class BadRequest(Exception):
    """The request is refused with `status`, and the connection ends after it.

    Attributes:
        status: 400, 405, 408, 413, 417, 431, 501 or 505.
        reason: one line for a person, also the name under which it is counted.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
