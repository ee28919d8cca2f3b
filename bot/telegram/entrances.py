"""What a person finds in the Telegram chat before anything is said: the command menu and the page button."""

from collections.abc import Mapping, Sequence
from typing import Final

from bot.telegram.client import TelegramClient
from handlers.messages import MenuItem

ANY_LANGUAGE: Final = ""
"""Menu for people whose client speaks none of the other languages given."""


async def publish_entrances(
    client: TelegramClient, menus: Mapping[str, Sequence[MenuItem]], *, webhook_url: str, webhook_secret: str
) -> None:
    """Install the webhook, the commands of `menus` per ISO 639-1 language, and the page button if a menu has a page.

    Items with a `command` become commands; the first https page of the `ANY_LANGUAGE` menu becomes the button.

    Raises:
        CallFailed: Telegram refused a step or did not answer; what was installed before stays.
    """
    await client.set_webhook(webhook_url, webhook_secret)
    for language, items in menus.items():
        await client.set_commands([(item.command, item.text) for item in _flat(items) if item.command], language)
    for item in _flat(menus.get(ANY_LANGUAGE, ())):
        if item.url and item.url.startswith("https://"):
            await client.set_page_button(item.text, item.url)
            return


def _flat(items: Sequence[MenuItem]) -> list[MenuItem]:
    return [leaf for item in items for leaf in (_flat(item.children) if item.children else [item])]
