"""The Bot API methods that Xiaohui uses, through python-telegram-bot's `Bot`."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar, cast

from telegram import Bot, MenuButtonWebApp, WebAppInfo
from telegram.error import NetworkError

from bot.accounts import TelegramAccount
from bot.calls import CallFailed
from bot.channel import Accepted, Unknown
from bot.http import PlatformHttp
from bot.telegram.transport import NotAccepted, PlatformRequest

ALLOWED_UPDATES: Final = ("message", "callback_query", "my_chat_member")
"""What the webhook asks for: everything else would be stored and answered with nothing."""

MAX_CONNECTIONS: Final = 40

_UNREADABLE: Final = (TypeError, KeyError, AttributeError, ValueError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """Where Telegram delivers, how much waits, and what went wrong last."""

    url: str
    pending: int
    last_error: str | None
    last_error_at: datetime | None


class TelegramClient:
    """One bot. Every method makes one attempt within 10 s and raises `CallFailed` when it is not accepted."""

    def __init__(self, account: TelegramAccount, http: PlatformHttp) -> None:
        request = PlatformRequest(http)
        base = account.api_base.rstrip("/")
        self._bot = Bot(
            account.bot_token,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=request,
            get_updates_request=request,
        )

    async def send_message(self, parameters: Mapping[str, object]) -> Accepted:
        """`sendMessage` with `parameters` from `codec.message_parameters`; the accepted message's id.

        Raises:
            CallFailed: refused or unknown.
        """
        rest = {name: value for name, value in parameters.items() if name not in {"chat_id", "text"}}
        chat_id, text = cast("int", parameters["chat_id"]), cast("str", parameters["text"])
        message = await _attempt(self._bot.send_message(chat_id, text, api_kwargs=rest))
        return Accepted() if message is None else Accepted(str(message.message_id))

    async def answer_press(self, parameters: Mapping[str, object]) -> Accepted:
        """`answerCallbackQuery` with `parameters` from `codec.notice_parameters`.

        Raises:
            CallFailed: refused or unknown; a press older than some seconds is `NO_WINDOW`.
        """
        text = cast("str | None", parameters.get("text"))
        await _attempt(self._bot.answer_callback_query(cast("str", parameters["callback_query_id"]), text))
        return Accepted()

    async def set_webhook(self, url: str, secret: str) -> None:
        """Have updates delivered to `url` with `secret` in the header. Updates that wait are kept.

        Raises:
            CallFailed: refused or unknown.
        """
        await _attempt(
            self._bot.set_webhook(
                url, allowed_updates=ALLOWED_UPDATES, secret_token=secret, max_connections=MAX_CONNECTIONS
            )
        )

    async def webhook_status(self) -> WebhookStatus:
        """`getWebhookInfo`.

        Raises:
            CallFailed: refused or unknown.
        """
        info = await _attempt(self._bot.get_webhook_info())
        if info is None:
            raise CallFailed(Unknown("no webhook information"))
        return WebhookStatus(info.url, info.pending_update_count, info.last_error_message, info.last_error_date)

    async def set_commands(self, commands: Sequence[tuple[str, str]], language: str = "") -> None:
        """Replace the command menu shown to clients in `language` (ISO 639-1), or to all others when empty.

        Raises:
            CallFailed: refused or unknown.
        """
        await _attempt(self._bot.set_my_commands(list(commands), language_code=language or None))

    async def set_page_button(self, text: str, url: str) -> None:
        """Put a button beside the input field that opens the Mini App at `url` (https).

        Raises:
            CallFailed: refused or unknown.
        """
        button = MenuButtonWebApp(text=text, web_app=WebAppInfo(url=url))
        await _attempt(self._bot.set_chat_menu_button(menu_button=button))

    async def username(self) -> str:
        """The bot's user name without "@" (`getMe`): what links and the configuration check need.

        Raises:
            CallFailed: refused or unknown; a wrong token is `CONFIGURATION`.
        """
        me = await _attempt(self._bot.get_me())
        if me is None or not me.username:
            raise CallFailed(Unknown("no user name"))
        return me.username


async def _attempt(call: Awaitable[T]) -> T | None:
    """The result of `call`; None when the wish was already fulfilled."""
    try:
        return await call
    except NotAccepted as refused:
        if isinstance(refused.result, Accepted):
            return None
        raise CallFailed(refused.result) from refused
    except NetworkError as wrapped:
        # The transport raises only `NotAccepted`; the library wraps everything else, that is our own bugs.
        raise (wrapped.__cause__ or wrapped) from None
    except _UNREADABLE as error:
        # The library refuses answers that lack a field it knows as required; the call itself went through.
        raise CallFailed(Unknown(f"unreadable answer: {type(error).__name__}")) from error
