"""Logging in and out: a platform's proof becomes an opaque session of our own."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field

from loyalty import clock
from loyalty.errors import Invalid, NotFound, Unauthenticated, Unavailable
from loyalty.identity import service as identity
from loyalty.identity.service import Contact
from loyalty.sessions import service as sessions
from loyalty.staff import queries as staff
from miniapp_api import logins
from miniapp_api.audience import Audience
from miniapp_api.endpoint import (
    AnyEndpoint,
    Body,
    Call,
    Endpoint,
    NoBody,
    NoQuery,
    Query,
    Rate,
    Redirect,
    Repeat,
    Summary,
)
from miniapp_api.principals import bearer_token
from miniapp_api.refusals import LoginRefused, NotStaff, SnapshotUser, StateMismatch

STATE_COOKIE: Final = "xiaohui_login"
STATE_LIFETIME_S: Final = 600
HOME_PAGE: Final = "/m/"

Account = Annotated[
    str,
    Field(min_length=1, max_length=40, pattern=r"^[a-zA-Z0-9_-]+$", examples=["main"]),
]
LoginCode = Annotated[str, Field(min_length=1, max_length=512)]


class CodeLogin(Body):
    """A one-use login code of the platform account `account`."""

    account: Account
    code: LoginCode


class TelegramLogin(Body):
    """The Mini App's `initData`, unchanged."""

    account: Account
    init_data: Annotated[str, Field(min_length=1, max_length=8192)]


class StartQuery(Query):
    """Where to come back to, a path on this server."""

    return_to: Annotated[str, Field(max_length=200)] = HOME_PAGE


class CallbackQuery(Query):
    """What WeChat appends to the address."""

    code: LoginCode | None = None
    state: Annotated[str, Field(max_length=300)] = ""


@dataclass(frozen=True, slots=True)
class Session:
    """The token to send as `Authorization: Bearer`; `expires_at` moves on while it is used."""

    token: str
    audience: Literal["member", "staff"]
    expires_at: datetime
    is_new: bool
    is_registered: bool


async def ask_mini_program(call: Call[CodeLogin, NoQuery]) -> Contact:
    """Who called `wx.login`."""
    return await logins.mini_program(call.context, call.body.account, call.body.code)


async def ask_official_account(call: Call[CodeLogin, NoQuery]) -> Contact:
    """Who came back from WeChat's page."""
    return await logins.official_account(call.context, call.body.account, call.body.code)


async def ask_telegram(call: Call[TelegramLogin, NoQuery]) -> Contact:
    """Whom the initData vouches for."""
    # Telegram stamped it by its own clock, which a sandbox's moved calendar does not move.
    return logins.telegram(call.context, call.body.account, call.body.init_data, now=clock.wall())


async def ask_wecom(call: Call[CodeLogin, NoQuery]) -> tuple[str, str]:
    """Which WeCom user stands behind the code."""
    return await logins.wecom(call.context, call.body.account, call.body.code)


async def log_in_mini_program(call: Call[CodeLogin, NoQuery]) -> Session:
    """Open a session for whom WeChat vouches for."""
    return await _member_session(call.brought, now=call.now)


async def log_in_official_account(call: Call[CodeLogin, NoQuery]) -> Session:
    """Open a session for whom WeChat vouches for."""
    return await _member_session(call.brought, now=call.now)


async def log_in_telegram(call: Call[TelegramLogin, NoQuery]) -> Session:
    """Open a session for whom Telegram vouches for."""
    return await _member_session(call.brought, now=call.now)


async def log_in_wecom(call: Call[CodeLogin, NoQuery]) -> Session:
    """Open a session for an active member of staff."""
    corp_id, user_id = call.brought
    person = await staff.recognise(corp_id, user_id)
    if person is None:
        raise NotStaff
    opened = await sessions.open_for_staff(person.staff_id, now=call.now)
    return Session(
        token=opened.token,
        audience="staff",
        expires_at=opened.expires_at,
        is_new=False,
        is_registered=True,
    )


async def log_out(call: Call[NoBody, NoQuery]) -> None:
    """End the session whose token this is; again changes nothing."""
    await sessions.revoke(bearer_token(call.request), now=call.now)


async def start_wechat_login(call: Call[NoBody, StartQuery]) -> Redirect:
    """Send the browser to WeChat's page; the state in its cookie ties the answer to this browser."""
    account = call.path["account"]
    secret = secrets.token_urlsafe(24)
    url = logins.official_account_url(
        call.context,
        account,
        redirect_uri=f"{call.context.settings.public_url}/v1/oauth/wechat/{quote(account)}/callback",
        state=secret,
    )
    # The way back stays in our cookie and never travels through WeChat.
    cookie = f"{secret}.{quote(_own_path(call.query.return_to), safe='')}"
    return Redirect(url, cookie=(STATE_COOKIE, cookie, STATE_LIFETIME_S))


async def ask_wechat_callback(call: Call[NoBody, CallbackQuery]) -> Contact:
    """Who came back, if it is the browser that left."""
    secret, _, _ = call.request.cookies.get(STATE_COOKIE, "").partition(".")
    if not secret or not hmac.compare_digest(secret.encode(), call.query.state.encode()):
        raise StateMismatch
    if call.query.code is None:
        raise LoginRefused
    return await logins.official_account(call.context, call.path["account"], call.query.code)


async def finish_wechat_login(call: Call[NoBody, CallbackQuery]) -> Redirect:
    """Open a session and hand it to the page in the fragment, which no server and no log ever sees."""
    opened = await _member_session(call.brought, now=call.now)
    _, _, way_back = call.request.cookies.get(STATE_COOKIE, "").partition(".")
    return Redirect(
        f"{_own_path(unquote(way_back))}#session={opened.token}",
        cookie=(STATE_COOKIE, "", 0),
    )


async def _member_session(contact: Contact, *, now: datetime) -> Session:
    person = await identity.resolve(contact, now=now)
    opened = await sessions.open_for_member(person.member_id, identity_id=person.identity_id, now=now)
    return Session(
        token=opened.token,
        audience="member",
        expires_at=opened.expires_at,
        is_new=person.is_new,
        is_registered=person.is_registered,
    )


def _own_path(path: str) -> str:
    """`path` when it is a plain path on this server, else the home page: no open redirect."""
    parts = urlsplit(path)
    is_own = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return path if is_own and path.isprintable() and "\\" not in path and "#" not in path else HOME_PAGE


_PROOF = (LoginRefused, NotFound, Unavailable)

ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/sessions/mini-program",
        before=ask_mini_program,
        run=log_in_mini_program,
        audience=Audience.ANYONE,
        body=CodeLogin,
        result=Session,
        status=201,
        rate=Rate.LOGIN,
        repeat=Repeat.ONE_USE,
        refusals=_PROOF,
        summary=Summary(
            "小程序登录（wx.login 的 code）",
            "Log in from the mini-program (code of wx.login)",
        ),
    ),
    Endpoint(
        method="POST",
        path="/v1/sessions/official-account",
        before=ask_official_account,
        run=log_in_official_account,
        audience=Audience.ANYONE,
        body=CodeLogin,
        result=Session,
        status=201,
        rate=Rate.LOGIN,
        repeat=Repeat.ONE_USE,
        refusals=(*_PROOF, SnapshotUser),
        summary=Summary(
            "公众号网页登录（OAuth 的 code）",
            "Log in from an official-account page (OAuth code)",
        ),
    ),
    Endpoint(
        method="POST",
        path="/v1/sessions/telegram",
        before=ask_telegram,
        run=log_in_telegram,
        audience=Audience.ANYONE,
        body=TelegramLogin,
        result=Session,
        status=201,
        rate=Rate.LOGIN,
        repeat=Repeat.ONE_USE,
        refusals=_PROOF,
        summary=Summary(
            "Telegram 小程序登录（initData）",
            "Log in from a Telegram Mini App (initData)",
        ),
    ),
    Endpoint(
        method="POST",
        path="/v1/sessions/wecom",
        before=ask_wecom,
        run=log_in_wecom,
        audience=Audience.ANYONE,
        body=CodeLogin,
        result=Session,
        status=201,
        rate=Rate.LOGIN,
        repeat=Repeat.ONE_USE,
        refusals=(*_PROOF, NotStaff),
        summary=Summary("员工登录（企业微信的 code）", "Log in as staff (WeCom code)"),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/sessions/current",
        run=log_out,
        audience=Audience.ANYONE,
        result=None,
        rate=Rate.WRITE,
        repeat=Repeat.ONE_USE,
        refusals=(Unauthenticated,),
        summary=Summary("退出登录", "Log out"),
    ),
    Endpoint(
        method="GET",
        path="/v1/oauth/wechat/{account}/start",
        run=start_wechat_login,
        audience=Audience.ANYONE,
        query=StartQuery,
        result=Redirect,
        rate=Rate.LOGIN,
        summary=Summary("公众号网页授权：开始", "Official-account OAuth: start"),
    ),
    Endpoint(
        method="GET",
        path="/v1/oauth/wechat/{account}/callback",
        before=ask_wechat_callback,
        run=finish_wechat_login,
        audience=Audience.ANYONE,
        query=CallbackQuery,
        result=Redirect,
        rate=Rate.LOGIN,
        repeat=Repeat.ONE_USE,
        refusals=(LoginRefused, SnapshotUser, StateMismatch, Invalid, Unavailable),
        summary=Summary("公众号网页授权：返回", "Official-account OAuth: return"),
    ),
)
