"""Channel accounts as configured in TOML, `[[channel.wechat_oa]]` and its siblings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

CALLBACK_WINDOW_S_DEFAULT = 300


@dataclass(frozen=True, slots=True)
class NoticeTemplate:
    """A platform's message template for one of our notices. `fields` fills each of the template's fields
    (`thing1`, `date2`) with the fact of that name; `page` is what a tap opens."""

    template_id: str
    fields: Mapping[str, str]
    page: str = ""


@dataclass(frozen=True, slots=True)
class WechatAccount:
    """An official account or a mini-program; `plain_mode` accepts unencrypted callbacks (development only).

    `templates` are template messages (模板消息, 公众号 only) and `subscriptions` are subscribe messages
    (订阅消息), both by the name of the notice that they carry.
    """

    account: str
    app_id: str
    app_secret: str
    token: str
    encoding_aes_key: str
    api_base: str = "https://api.weixin.qq.com"
    callback_window_s: int = CALLBACK_WINDOW_S_DEFAULT
    plain_mode: bool = False
    templates: Mapping[str, NoticeTemplate] = field(default_factory=dict)
    subscriptions: Mapping[str, NoticeTemplate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WecomAccount:
    """A self-built WeCom application of one corp."""

    account: str
    corp_id: str
    agent_id: int
    app_secret: str
    token: str
    encoding_aes_key: str
    api_base: str = "https://qyapi.weixin.qq.com"
    callback_window_s: int = CALLBACK_WINDOW_S_DEFAULT


@dataclass(frozen=True, slots=True)
class TelegramAccount:
    """A Telegram bot. `mini_app_url` (https): buttons to pages below it open inside Telegram, as a Mini App."""

    account: str
    bot_token: str
    webhook_secret: str
    api_base: str = "https://api.telegram.org"
    username: str = ""
    mini_app_url: str = ""


@dataclass(frozen=True, slots=True)
class WechatPayAccount:
    """A merchant account of WeChat Pay v3 (商户号) that pays for the app `app_id`.

    `merchant_key` is the merchant's private key and `merchant_serial` the serial of its certificate; `platform_key` is
    the platform's certificate, or its public key with `platform_key_id`; all keys in PEM. `api_v3_key` has 32 bytes.
    """

    account: str
    app_id: str
    mch_id: str
    merchant_serial: str
    merchant_key: str
    api_v3_key: str
    platform_key: str
    platform_key_id: str = ""
    api_base: str = "https://api.mch.weixin.qq.com"
    callback_window_s: int = CALLBACK_WINDOW_S_DEFAULT


@dataclass(frozen=True, slots=True)
class SmsAccount:
    """The SMS provider (a JSON endpoint; see `bot/sms/README.md`)."""

    api_base: str
    api_key: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class ChannelAccounts:
    """Every configured account of every platform."""

    wechat_oa: tuple[WechatAccount, ...] = ()
    wechat_mini: tuple[WechatAccount, ...] = ()
    wecom: tuple[WecomAccount, ...] = ()
    telegram: tuple[TelegramAccount, ...] = ()
    wechat_pay: tuple[WechatPayAccount, ...] = ()
    sms: SmsAccount | None = None
