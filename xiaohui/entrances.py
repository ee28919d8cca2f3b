"""Installing what a person finds before anything is said: menus, commands, webhooks."""

from typing import Any

import typer

from bot.accounts import ChannelAccounts
from bot.channel import Channel
from handlers import menus
from handlers.messages import ChannelName
from loyalty.config import Settings
from xiaohui import accounts as configured
from xiaohui.addresses import reached
from xiaohui.web import Surroundings, close, surroundings


async def publish_entrances(settings: Settings) -> int:
    """Install menus, commands and webhooks on every configured platform."""
    async with reached(settings) as ready:
        around = await surroundings(ready, configured.read(ready))
        try:
            failed = await publish_all(around)
        finally:
            await close(around)
    return 1 if failed else 0


async def publish_all(around: Surroundings, *, only: ChannelAccounts | None = None) -> int:
    """Install the entrances of each channel, or of the accounts in `only`; how many failed."""
    failed = 0
    for name, account, error in await publish(around, only=only):
        if error is None:
            typer.secho(f"  ✓ {name}/{account}", fg="green")
        else:
            failed += 1
            typer.secho(f"  ✗ {name}/{account}：{error}", fg="red")
    return failed


async def publish(
    around: Surroundings, *, only: ChannelAccounts | None = None
) -> list[tuple[ChannelName, str, str | None]]:
    """Install the entrances of every account, or of those in `only`; per account what went wrong, or None."""
    done: list[tuple[ChannelName, str, str | None]] = []
    for (name, account), channel in around.channels.items():
        if only is not None and account not in {one.account for one in getattr(only, name)}:
            continue
        try:
            await _install(name, channel, around)
        except Exception as failed:  # noqa: BLE001 - one platform's refusal must not hide the others
            done.append((name, account, f"{type(failed).__name__}: {failed}"))
        else:
            done.append((name, account, None))
    return done


async def _install(name: ChannelName, channel: Any, around: Surroundings) -> None:
    if name == "wechat_oa":
        from bot.wechat_oa.adapter import publish_entrances as install_menu

        await install_menu(channel, menus.official_account(around.settings.public_url))
    elif name == "wecom":
        from bot.wecom.adapter import publish_entrances as install_staff_menu

        await install_staff_menu(channel, menus.staff())
    elif name == "telegram":
        await _install_telegram(channel, around)


async def _install_telegram(channel: Channel, around: Surroundings) -> None:
    from bot.telegram.entrances import publish_entrances

    account = next(account for account in around.accounts.telegram if account.account == channel.account)
    client: Any = getattr(channel, "client")  # noqa: B009 - the protocol names no client
    await publish_entrances(
        client,
        menus.telegram(around.settings.public_url),
        webhook_url=f"{around.settings.public_url}/hooks/telegram/{account.account}",
        webhook_secret=account.webhook_secret,
    )
