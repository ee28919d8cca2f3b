"""All of api.weixin.qq.com: the table of APIs, and the two pages that people's browsers open."""

from aiohttp import web

from bot.sandbox import mini_api, wechat_media, wechat_menu, wechat_messages, wechat_oauth, wechat_tokens, wechat_users
from bot.sandbox.doors import attend
from bot.sandbox.oauth_page import Ask, ask_or_redirect
from bot.sandbox.stage import Stage
from bot.sandbox.wechat_codes import issue
from bot.sandbox.wechat_door import Api, wechat_door
from bot.sandbox.wechat_media import find_scene, qr_png
from bot.sandbox.world import Person

APIS: dict[str, Api] = {
    **wechat_tokens.APIS,
    **wechat_menu.APIS,
    **wechat_users.APIS,
    **wechat_messages.APIS,
    **wechat_oauth.APIS,
    **wechat_media.APIS,
    **mini_api.APIS,
}
PREFIX = "/platform/wechat"


def add_wechat(app: web.Application, stage: Stage) -> None:
    """Mount the APIs and pages."""
    door = wechat_door(stage, APIS)

    async def call(request: web.Request) -> web.StreamResponse:
        return await attend(stage, door, "/" + request.match_info["path"], request)

    async def authorize(request: web.Request) -> web.StreamResponse:
        return _authorize(stage, request)

    async def show_qr(request: web.Request) -> web.StreamResponse:
        code = find_scene(stage, request.query.get("ticket", ""))
        if code is None:
            raise web.HTTPNotFound
        return web.Response(body=qr_png(code.url), content_type="image/png")

    app.router.add_get(PREFIX + "/connect/oauth2/authorize", authorize)
    app.router.add_get(PREFIX + "/cgi-bin/showqrcode", show_qr)
    app.router.add_route("*", PREFIX + "/{path:.*}", call)


def _authorize(stage: Stage, request: web.Request) -> web.StreamResponse:
    query = request.query
    account = next(
        (a for a in stage.config.wechat if a.channel == "wechat_oa" and a.app_id == query.get("appid")), None
    )
    scope = query.get("scope", "")
    if account is None or scope not in ("snsapi_base", "snsapi_userinfo") or query.get("response_type") != "code":
        raise web.HTTPBadRequest(text="参数错误 invalid appid, scope or response_type")

    def code_for(person: Person) -> str:
        snapshot = query.get("snapshot") == "1" or person.flags.snapshot
        state = stage.wechat(account.key)
        return issue(state, "oauth", person, stage.clock.world(), scope=scope, snapshot=snapshot)

    return ask_or_redirect(request, Ask(account.name, stage.people.all(), code_for))
