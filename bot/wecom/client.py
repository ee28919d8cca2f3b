"""The WeCom API methods about staff: messages, cards, the application's menu, and who logged in."""

from collections.abc import Mapping, Sequence
from typing import Final

from bot.accounts import WecomAccount
from bot.calls import CallFailed
from bot.channel import Accepted, Rejected, RejectReason
from bot.http import PlatformHttp
from bot.strict_json import Json
from bot.tokens import TokenFactory
from bot.wecom.api import WecomApi
from bot.wecom.customers import CustomerContacts
from bot.wecom.messages import Body
from handlers.messages import MenuItem

DUPLICATE_CHECK_S: Final = 1800


class NotStaff(Exception):
    """The login names no member of staff: somebody outside the corp opened the page."""


class WecomClient:
    """One application. Every method makes one attempt, a renewed token aside, and raises `CallFailed`."""

    def __init__(self, account: WecomAccount, http: PlatformHttp, tokens: TokenFactory) -> None:
        self._api = WecomApi(account, http, tokens)
        self.customers = CustomerContacts(self._api)

    async def send(self, staff_id: str, message: Body) -> Accepted:
        """`message/send` to one member of staff.

        Template cards are checked for repeats by the platform (30 minutes): their task id makes a retry equal and
        nothing else. Other messages are not, or a clerk's second equal question would get no answer.

        Raises:
            CallFailed: refused, unknown, or the person cannot be reached (`BLOCKED`).
        """
        check = {"enable_duplicate_check": 1, "duplicate_check_interval": DUPLICATE_CHECK_S}
        body = {
            "touser": staff_id,
            "agentid": self._api.agent_id,
            **message,
            **(check if message.get("msgtype") == "template_card" else {}),
        }
        answer = await self._api.post("/cgi-bin/message/send", body)
        _refuse_unreached(answer, staff_id)
        return Accepted(_text(answer.get("msgid")), _text(answer.get("response_code")))

    async def update_card(self, staff_ids: Sequence[str], response_code: str, change: Body) -> Accepted:
        """`update_template_card` for those of `staff_ids` who have the card; a code works once, within 72 hours.

        Raises:
            CallFailed: refused (a used code among others) or unknown.
        """
        body = {
            "userids": list(staff_ids),
            "agentid": self._api.agent_id,
            "response_code": response_code,
            **change,
        }
        await self._api.post("/cgi-bin/message/update_template_card", body)
        return Accepted()

    async def staff_of_login(self, code: str) -> str:
        """The user id behind the OAuth `code` of a page (`auth/getuserinfo`).

        Raises:
            NotStaff: the person is a customer or nobody of this corp, whatever else the answer says.
            LoginCodeRefused: the code is wrong, used or older than five minutes.
            CallFailed: refused or unknown.
        """
        answer = await self._api.get("/cgi-bin/auth/getuserinfo", {"code": code})
        staff_id = _text(answer.get("userid"))
        if staff_id is None:
            raise NotStaff
        return staff_id

    async def create_menu(self, items: Sequence[MenuItem]) -> None:
        """Replace the application's menu: at most three entries with at most five below each.

        Raises:
            CallFailed: refused or unknown.
        """
        menu = {"button": [_menu_button(item) for item in items]}
        await self._api.post("/cgi-bin/menu/create", menu, params={"agentid": str(self._api.agent_id)})


def _refuse_unreached(answer: Mapping[str, Json], staff_id: str) -> None:
    for field in ("invaliduser", "unlicenseduser"):
        unreached = (_text(answer.get(field)) or "").lower().split("|")
        if staff_id.lower() in unreached:
            raise CallFailed(Rejected(RejectReason.BLOCKED, field, "not reachable through this application"))


def _menu_button(item: MenuItem) -> dict[str, object]:
    if item.children:
        return {"name": item.text, "sub_button": [_menu_button(child) for child in item.children]}
    if item.url is not None:
        return {"type": "view", "name": item.text, "url": item.url}
    return {"type": "scancode_waitmsg" if item.camera else "click", "name": item.text, "key": item.key}


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
