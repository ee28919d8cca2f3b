"""A token source without a database, for tests of what stands on it."""

from bot.tokens import Issue, TokenSource


class RememberedTokens:
    """Asks once and keeps the answer; `renew` asks again, by force when the same token comes back."""

    def __init__(self, _name: str, issue: Issue) -> None:
        self._issue = issue
        self._value: str | None = None

    async def current(self) -> str:
        if self._value is None:
            self._value = (await self._issue(False)).value
        return self._value

    async def renew(self, rejected: str) -> str:
        issued = await self._issue(False)
        if issued.value == rejected:
            issued = await self._issue(True)
        self._value = issued.value
        return self._value


def remembered(name: str, issue: Issue) -> TokenSource:
    """A `bot.tokens.TokenFactory`."""
    return RememberedTokens(name, issue)
