"""A refusal with the platform's own code; each platform's door gives it its shape."""


class PlatformError(Exception):
    """`code` is the documented number; the message is what the platform says, which changes without notice."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message = code, message
