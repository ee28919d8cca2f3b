"""The development accounts: the same keys given to the product and to the sandbox it talks to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from aiohttp import web

from bot.accounts import ChannelAccounts, NoticeTemplate, SmsAccount, TelegramAccount, WechatAccount, WecomAccount
from bot.sandbox import config as play
from bot.sandbox.app import create_sandbox
from bot.sandbox.pay_state import kept_keys, public_pem
from xiaohui.first_run import DevelopmentSecrets

AGENT_ID: Final = 1000002
BOT_USERNAME: Final = "xiaohui_demo_bot"
NO_ACCOUNTS: Final = ChannelAccounts()


def accounts(made: DevelopmentSecrets, base: str, *, beside: ChannelAccounts = NO_ACCOUNTS) -> ChannelAccounts:
    """The product's side: four accounts whose platforms are under `base`, named so that they stand beside others."""
    keys, platform = made.keys, f"{base}/sandbox/platform"

    def free_name(taken: Sequence[WechatAccount | WecomAccount | TelegramAccount]) -> str:
        return "sandbox" if any(account.account == "main" for account in taken) else "main"

    def wechat(name: str, taken: Sequence[WechatAccount]) -> WechatAccount:
        return WechatAccount(
            account=free_name(taken),
            app_id=keys[f"{name}_app_id"],
            app_secret=keys[f"{name}_secret"],
            token=keys[f"{name}_token"],
            encoding_aes_key=keys[f"{name}_aes_key"],
            api_base=f"{platform}/wechat",
            templates=OA_TEMPLATES if name == "oa" else {},
            subscriptions=SUBSCRIPTIONS[name],
        )

    return ChannelAccounts(
        wechat_oa=(wechat("oa", beside.wechat_oa),),
        wechat_mini=(wechat("mini", beside.wechat_mini),),
        wecom=(
            WecomAccount(
                account=free_name(beside.wecom),
                corp_id=keys["corp_id"],
                agent_id=AGENT_ID,
                app_secret=keys["wecom_secret"],
                token=keys["wecom_token"],
                encoding_aes_key=keys["wecom_aes_key"],
                api_base=f"{platform}/wecom",
            ),
        ),
        telegram=(
            TelegramAccount(
                account=free_name(beside.telegram),
                bot_token=keys["bot_token"],
                webhook_secret=keys["webhook_secret"],
                api_base=f"{platform}/telegram",
                username=BOT_USERNAME,
            ),
        ),
        sms=SmsAccount(api_base=f"{platform}/sms", api_key=keys["sms_key"], signature="小惠"),
    )


@dataclass(frozen=True, slots=True)
class PayPlatform:
    """What the product must be told to take payments on the sandbox's WeChat Pay; `platform_key` is the public one."""

    mch_id: str
    merchant_serial: str
    merchant_key: str
    api_v3_key: str
    platform_key: str
    platform_key_id: str
    api_base: str


def pay_platform(state: Path, base: str) -> PayPlatform:
    """The merchant of the sandbox whose folder is `state`; its keys are made on the first call and kept there."""
    keys = kept_keys(state)
    return PayPlatform(
        mch_id=keys.mch_id,
        merchant_serial=keys.merchant_serial,
        merchant_key=keys.merchant_key,
        api_v3_key=keys.api_v3_key,
        platform_key=public_pem(keys.platform_key),
        platform_key_id=keys.platform_key_id,
        api_base=f"{base}/sandbox/platform/wechat_pay",
    )


def _pay(state: Path, app_ids: frozenset[str]) -> play.PayAccount:
    keys = kept_keys(state)
    return play.PayAccount(
        mch_id=keys.mch_id,
        app_ids=app_ids,
        merchant_serial=keys.merchant_serial,
        merchant_public_key=public_pem(keys.merchant_key),
        api_v3_key=keys.api_v3_key,
        platform_key=keys.platform_key,
        platform_key_id=keys.platform_key_id,
    )


def sandbox(ours: ChannelAccounts, base: str, state: Path) -> web.Application:
    """The platforms' side of the same accounts, calling back to the product at `base`."""
    oa, mini, wecom, telegram = ours.wechat_oa[0], ours.wechat_mini[0], ours.wecom[0], ours.telegram[0]
    return create_sandbox(
        play.SandboxConfig(
            wechat=(_wechat("wechat_oa", oa, base), _wechat("wechat_mini", mini, base)),
            wecom=(
                play.WecomAccount(
                    corp_id=wecom.corp_id,
                    agent_id=wecom.agent_id,
                    app_secret=wecom.app_secret,
                    token=wecom.token,
                    encoding_aes_key=wecom.encoding_aes_key,
                    callback_url=f"{base}/hooks/wecom/{wecom.account}",
                    account=wecom.account,
                ),
            ),
            telegram=(
                play.TelegramAccount(
                    bot_token=telegram.bot_token,
                    webhook_secret=telegram.webhook_secret,
                    callback_url=f"{base}/hooks/telegram/{telegram.account}",
                    account=telegram.account,
                    username=BOT_USERNAME,
                ),
            ),
            sms=(play.SmsAccount(api_key=ours.sms.api_key, templates=SMS_TEMPLATES),) if ours.sms else (),
            pay=_pay(state, frozenset({oa.app_id, mini.app_id})),
            people=PEOPLE,
            templates=tuple(_templates(oa)) + tuple(_templates(mini)),
            public_base=f"{base}/sandbox",
            state_folder=state,
        )
    )


def _templates(account: WechatAccount) -> Iterator[play.TemplateSeed]:
    for table in (account.templates, account.subscriptions):
        for notice, template in table.items():
            yield play.TemplateSeed(
                template_id=template.template_id,
                title=TITLES[notice],
                keys=tuple(template.fields),
                app_id=account.app_id,
            )


def _wechat(channel: Literal["wechat_oa", "wechat_mini"], ours: WechatAccount, base: str) -> play.WechatAccount:
    return play.WechatAccount(
        channel=channel,
        app_id=ours.app_id,
        app_secret=ours.app_secret,
        token=ours.token,
        encoding_aes_key=ours.encoding_aes_key,
        callback_url=f"{base}/hooks/{channel}/{ours.account}",
        account=ours.account,
    )


SMS_TEMPLATES: Final = {"phone_code": "您的验证码是 {code}，5 分钟内有效，请勿告诉他人。"}
TITLES: Final = {
    "tier_raised": "会员等级变更通知",
    "points_expiring": "积分到期提醒",
    "coupon_expiring": "优惠券到期提醒",
    "birthday": "会员生日祝福",
}
OA_TEMPLATES: Final = {
    "tier_raised": NoticeTemplate("sandbox-template-tier", {"thing1": "brand", "thing2": "tier", "date3": "today"}),
}
SUBSCRIPTIONS: Final = {
    name: {
        "tier_raised": NoticeTemplate(f"sandbox-{name}-tier", {"thing1": "tier", "date2": "today"}),
        "points_expiring": NoticeTemplate(f"sandbox-{name}-points", {"number1": "points", "date2": "last_day"}),
        "coupon_expiring": NoticeTemplate(f"sandbox-{name}-coupons", {"number1": "count", "date2": "last_day"}),
        "birthday": NoticeTemplate(f"sandbox-{name}-birthday", {"thing1": "brand", "number2": "points"}),
    }
    for name in ("oa", "mini")
}
PEOPLE: Final = (
    play.PersonSeed(id="lin", name="林小满", phone="+8613800000001"),
    play.PersonSeed(id="wang", name="王一诺", phone="+8613800000002"),
    play.PersonSeed(id="alex", name="Alex", phone="+8613800000003", language="en"),
    play.PersonSeed(id="zhang", name="张店员", kind="staff", wecom_userid="zhang"),
    play.PersonSeed(id="chen", name="陈店长", kind="staff", wecom_userid="chen"),
)
