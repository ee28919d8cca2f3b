"""All of qyapi.weixin.qq.com: the table of APIs, the login page, and the 联系我 picture."""

from aiohttp import web

from bot.sandbox import wecom_account, wecom_contacts, wecom_group, wecom_messages
from bot.sandbox.doors import attend
from bot.sandbox.oauth_page import Ask, ask_or_redirect
from bot.sandbox.stage import Stage
from bot.sandbox.wechat_media import qr_png
from bot.sandbox.wecom_account import issue_staff_code
from bot.sandbox.wecom_door import Api, wecom_door
from bot.sandbox.world import Person

APIS: dict[str, Api] = {**wecom_account.APIS, **wecom_messages.APIS, **wecom_contacts.APIS, **wecom_group.APIS}
PREFIX = "/platform/wecom"


def add_wecom(app: web.Application, stage: Stage) -> None:
    """Mount the APIs and pages."""
    door = wecom_door(stage, APIS)

    async def call(request: web.Request) -> web.StreamResponse:
        return await attend(stage, door, "/" + request.match_info["path"], request)

    async def authorize(request: web.Request) -> web.StreamResponse:
        return _authorize(stage, request)

    async def way_picture(request: web.Request) -> web.StreamResponse:
        config_id = request.match_info["config_id"]
        if not any(config_id in stage.wecom(account.key).ways for account in stage.config.wecom):
            raise web.HTTPNotFound
        return web.Response(body=qr_png(f"https://work.weixin.qq.com/ca/{config_id}"), content_type="image/png")

    app.router.add_get(PREFIX + "/connect/oauth2/authorize", authorize)
    app.router.add_get(PREFIX + "/way/{config_id}", way_picture)
    app.router.add_route("*", PREFIX + "/{path:.*}", call)


def _authorize(stage: Stage, request: web.Request) -> web.StreamResponse:
    query = request.query
    account = next((a for a in stage.config.wecom if a.corp_id == query.get("appid")), None)
    scope = query.get("scope", "")
    if account is None or scope not in ("snsapi_base", "snsapi_privateinfo"):
        raise web.HTTPBadRequest(text="参数错误 invalid appid or scope")

    def code_for(person: Person) -> str:
        return issue_staff_code(stage.wecom(account.key), person, scope, stage.clock.world())

    return ask_or_redirect(request, Ask(account.name, stage.people.all(), code_for))
