"""How a call to a platform's API ends when it does not succeed."""

from bot.channel import Rejected, Unknown


class CallFailed(Exception):
    """The platform refused, or nobody knows whether it carried the call out; `result` is what a send reports."""

    def __init__(self, result: Rejected | Unknown) -> None:
        super().__init__(result.detail)
        self.result = result
