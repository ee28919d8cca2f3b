"""The authorise page of both OAuth logins: asks who you are, then sends the browser back with a code."""

import html
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from bot.sandbox.world import Person

STATE_LONGEST = 128


@dataclass(frozen=True)
class Ask:
    """Who asks, who may be chosen, and how a chosen person gets a code."""

    title: str
    people: list[Person]
    code_for: Callable[[Person], str]


def ask_or_redirect(request: web.Request, ask: Ask) -> web.StreamResponse:
    """Redirect when `person` is in the address, else show the choice. Raises HTTPBadRequest for a bad request."""
    target = URL(request.query.get("redirect_uri", ""))
    state = request.query.get("state", "")
    if target.scheme not in ("http", "https") or len(state) > STATE_LONGEST:
        raise web.HTTPBadRequest(text="redirect_uri 参数错误 invalid redirect_uri or state")
    chosen = next((p for p in ask.people if p.id == request.query.get("person")), None)
    if chosen is None:
        return web.Response(text=_page(request, ask), content_type="text/html", charset="utf-8")
    back = target.update_query(code=ask.code_for(chosen), state=state).with_fragment(None)
    raise web.HTTPFound(back)


def _page(request: web.Request, ask: Ask) -> str:
    links = []
    for person in ask.people:
        address = html.escape(str(URL(request.path_qs).update_query(person=person.id)))
        links.append(f'<li><a href="{address}">{html.escape(person.name)}</a></li>')
    title = html.escape(ask.title)
    return (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><h1>{title}</h1><p>你是谁？ Who are you?</p><ul>{''.join(links)}</ul></html>"
    )
