"""What the sandbox must be told: the accounts it plays, where the product listens, and how strict to be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Channel = Literal["wechat_oa", "wechat_mini", "wecom", "telegram", "sms", "wechat_pay"]


@dataclass(frozen=True, kw_only=True)
class WechatAccount:
    """An official account (公众号) or mini-program (小程序) with the secrets its console would show."""

    channel: Literal["wechat_oa", "wechat_mini"]
    app_id: str
    app_secret: str
    token: str
    encoding_aes_key: str
    callback_url: str = ""
    account: str = "main"
    name: str = "小惠会员"
    mode: Literal["safe", "compat", "plain"] = "safe"
    body: Literal["xml", "json"] = "xml"
    pages: frozenset[str] = frozenset()
    """Published mini-program pages for getwxacodeunlimit; empty means every page is published."""

    @property
    def key(self) -> str:
        """Where this account's state lives in the world."""
        return f"{self.channel}/{self.account}"

    @property
    def original_id(self) -> str:
        """The `gh_…` name that stands in ToUserName."""
        return "gh_" + self.app_id.removeprefix("wx")[:12].ljust(12, "0")


@dataclass(frozen=True, kw_only=True)
class WecomAccount:
    """A self-built WeCom (企业微信) app of one corporation."""

    corp_id: str
    agent_id: int
    app_secret: str
    token: str
    encoding_aes_key: str
    callback_url: str = ""
    contact_secret: str = ""
    """A second secret that gettoken accepts, as the 客户联系 secret does; empty means only the app's."""
    account: str = "main"
    name: str = "小惠店员"
    channel: Literal["wecom"] = "wecom"

    @property
    def key(self) -> str:
        """Where this account's state lives in the world."""
        return f"{self.channel}/{self.account}"


@dataclass(frozen=True, kw_only=True)
class TelegramAccount:
    """A Telegram bot. With a callback URL it starts as if setWebhook had been called with the secret."""

    bot_token: str
    webhook_secret: str = ""
    callback_url: str = ""
    account: str = "main"
    name: str = "Xiaohui"
    username: str = "xiaohui_bot"
    channel: Literal["telegram"] = "telegram"

    @property
    def key(self) -> str:
        """Where this account's state lives in the world."""
        return f"{self.channel}/{self.account}"


@dataclass(frozen=True, kw_only=True)
class SmsAccount:
    """An SMS provider. `templates` maps a template name to its text; when empty, every template is known."""

    api_key: str
    templates: Mapping[str, str] = field(default_factory=dict)
    account: str = "main"
    name: str = "短信 SMS"
    per_phone_per_minute: int = 5
    channel: Literal["sms"] = "sms"

    @property
    def key(self) -> str:
        """Where this account's state lives in the world."""
        return f"{self.channel}/{self.account}"


@dataclass(frozen=True, kw_only=True)
class PayAccount:
    """A merchant of WeChat Pay (微信支付) that takes payments for `app_ids`; keys are PEM, `platform_key` private."""

    mch_id: str
    app_ids: frozenset[str]
    merchant_serial: str
    merchant_public_key: str
    api_v3_key: str
    platform_key: str
    platform_key_id: str
    account: str = "main"
    name: str = "微信支付"
    channel: Literal["wechat_pay"] = "wechat_pay"

    @property
    def key(self) -> str:
        """Where this account's state lives in the world."""
        return f"{self.channel}/{self.account}"


Account = WechatAccount | WecomAccount | TelegramAccount | SmsAccount | PayAccount


@dataclass(frozen=True, kw_only=True)
class TemplateSeed:
    """A message template the account owns. `keys` are its data fields; empty `app_id` means every account."""

    template_id: str
    title: str
    keys: tuple[str, ...] = ()
    app_id: str = ""


@dataclass(frozen=True, kw_only=True)
class PersonSeed:
    """Somebody who lives in the sandbox from the start."""

    id: str
    name: str
    kind: Literal["member", "staff"] = "member"
    phone: str = ""
    language: str = "zh_CN"
    wecom_userid: str = ""


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """Everything `create_sandbox` needs. Times are seconds."""

    wechat: tuple[WechatAccount, ...] = ()
    wecom: tuple[WecomAccount, ...] = ()
    telegram: tuple[TelegramAccount, ...] = ()
    sms: tuple[SmsAccount, ...] = ()
    pay: PayAccount | None = None
    people: tuple[PersonSeed, ...] = ()
    templates: tuple[TemplateSeed, ...] = ()
    public_base: str = "http://127.0.0.1:8080/sandbox"
    """Where this sandbox is reachable: pictures, QR codes and media point here."""
    state_folder: Path | None = None
    """Where the world is kept; None keeps it in memory only."""
    control_open: bool = False
    """True lets anybody who reaches the port use the control API. Only loopback peers may otherwise."""
    deadline_s: float = 5.0
    verification_deadline_s: float = 1.0
    tries: int = 3
    retry_pause_s: float = 0.2
    reorder_hold_s: float = 3.0
    telegram_per_second: int = 30
    telegram_chat_burst: int = 5
    """Messages one chat may get at once; after that one per second."""
    clock_moved: Callable[[float], None] | None = None
    """Told the clock's offset in seconds at start and on each move, where the product's clock is to move along."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Daily quota by API path, over the documented defaults."""

    def accounts(self) -> Iterator[Account]:
        """Every configured account, in the order the page shows them."""
        yield from self.wechat
        yield from self.wecom
        yield from self.telegram
        yield from self.sms
        if self.pay is not None:
            yield self.pay
