"""Exchanging a platform's login proof for who it proves; network calls, made before any unit of work."""

from datetime import datetime

from bot.calls import CallFailed
from bot.channel import Unknown
from bot.telegram.init_data import InitDataRefused, verify_init_data
from bot.wechat_mini.adapter import WechatMiniProgram
from bot.wechat_oa.adapter import WechatOfficialAccount
from bot.wechat_oa.client import SnapshotUser as OaSnapshotUser
from bot.wecom.adapter import WecomChannel
from bot.wecom.api import LoginCodeRefused
from bot.wecom.client import NotStaff as WecomNotStaff
from bot.wx_api import CodeRefused
from loyalty.errors import NotFound, Refusal, Unavailable
from loyalty.identity.service import Contact
from miniapp_api.context import ApiContext
from miniapp_api.refusals import LoginRefused, SnapshotUser


async def mini_program(context: ApiContext, account: str, code: str) -> Contact:
    """Who called `wx.login` in the mini-program `account`.

    Raises:
        NotFound: no such account is configured.
        LoginRefused: WeChat does not accept the code.
        Unavailable: WeChat could not be asked.
    """
    channel = _mini_program(context, account)
    try:
        login = await channel.client.exchange_code(code)
    except CallFailed as failed:
        raise _refusal(failed) from None
    return Contact(
        channel=channel.name,
        account=account,
        app_id=channel.app_id,
        external_id=login.openid,
        union_id=login.union_id,
    )


async def mini_program_phone(context: ApiContext, account: str, code: str) -> str:
    """The phone number behind a `getPhoneNumber` code, as WeChat spells it.

    Raises:
        as `mini_program`.
    """
    try:
        verified = await _mini_program(context, account).client.phone_number(code)
    except CallFailed as failed:
        raise _refusal(failed) from None
    return verified.number


def official_account_url(context: ApiContext, account: str, *, redirect_uri: str, state: str) -> str:
    """Where WeChat's own page recognises the person.

    Raises:
        NotFound: no such account is configured.
    """
    return _official_account(context, account).client.login_url(redirect_uri, state, with_union_id=True)


async def official_account(context: ApiContext, account: str, code: str) -> Contact:
    """Who came back from WeChat's page with `code`.

    Raises:
        SnapshotUser: WeChat's preview page handed out a throw-away openid.
        as `mini_program` otherwise.
    """
    channel = _official_account(context, account)
    try:
        login = await channel.client.exchange_code(code)
    except OaSnapshotUser:
        raise SnapshotUser from None
    except CallFailed as failed:
        raise _refusal(failed) from None
    if not login.openid:
        raise LoginRefused
    return Contact(
        channel=channel.name,
        account=account,
        app_id=channel.app_id,
        external_id=login.openid,
        union_id=login.union_id,
    )


def telegram(context: ApiContext, account: str, init_data: str, *, now: datetime) -> Contact:
    """Whom the Mini App's initData vouches for.

    Raises:
        NotFound: no such bot is configured.
        LoginRefused: not signed by this bot, too old, or without a person.
    """
    channel = context.channels.get(("telegram", account))
    configured = next((bot for bot in context.accounts.telegram if bot.account == account), None)
    if channel is None or configured is None:
        raise NotFound
    try:
        proof = verify_init_data(init_data, bot_token=configured.bot_token, now=now)
    except InitDataRefused as refused:
        raise LoginRefused(reason=refused.reason.value) from None
    return Contact(
        channel="telegram",
        account=account,
        app_id=channel.app_id,
        external_id=str(proof.person.id),
        locale=proof.person.language_code,
        scene=proof.start_param,
    )


async def wecom(context: ApiContext, account: str, code: str) -> tuple[str, str]:
    """Corp id and user id behind a WeCom login code.

    Raises:
        as `mini_program`; LoginRefused also for somebody outside the corp.
    """
    channel = context.channels.get(("wecom", account))
    if not isinstance(channel, WecomChannel):
        raise NotFound
    try:
        user_id = await channel.client.staff_of_login(code)
    except (LoginCodeRefused, WecomNotStaff):
        raise LoginRefused from None
    except CallFailed as failed:
        raise _refusal(failed) from None
    return channel.app_id, user_id


def _mini_program(context: ApiContext, account: str) -> WechatMiniProgram:
    channel = context.channels.get(("wechat_mini", account))
    if not isinstance(channel, WechatMiniProgram):
        raise NotFound
    return channel


def _official_account(context: ApiContext, account: str) -> WechatOfficialAccount:
    channel = context.channels.get(("wechat_oa", account))
    if not isinstance(channel, WechatOfficialAccount):
        raise NotFound
    return channel


def _refusal(failed: CallFailed) -> Refusal:
    if isinstance(failed, CodeRefused):
        return LoginRefused()
    if isinstance(failed.result, Unknown) or failed.result.retry_after_s is not None:
        return Unavailable()
    return LoginRefused()
