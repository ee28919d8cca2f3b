"""Customer contact (客户联系): who a customer is, welcome messages, contact codes, tags, and staff-confirmed sends.

Nothing here reaches a customer by itself, except the welcome message within 20 seconds of being added: a group send
(企业群发) is a task that each member of staff confirms in their client.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from bot.calls import CallFailed
from bot.channel import Accepted, Unknown
from bot.strict_json import Json
from bot.wecom.api import WecomApi

WELCOME_BUDGET_S: Final = 9.0
"""The code lives 20 s from the event; the callback may already have cost 5 of them, and delivery some more."""

_PAGE: Final = 100
_MOST_PAGES: Final = 200


@dataclass(frozen=True, slots=True)
class Relation:
    """One member of staff serving one customer; tags and remarks belong to the relation, not to the customer."""

    staff_id: str
    since: datetime
    state: str | None
    add_way: int
    remark: str
    phones: tuple[str, ...]
    tag_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as WeCom knows them. `union_id` is there only for WeChat users, and only if the corp bound its
    developer account; `is_wechat_user` is false for somebody of another corp."""

    external_user_id: str
    name: str
    union_id: str | None
    is_wechat_user: bool
    relations: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class ContactWay:
    """A contact code (联系我): whoever scans it is added, and the event carries its `state`."""

    config_id: str
    qr_code_url: str


class DeliveryState(IntEnum):
    """What became of a group send for one customer."""

    NOT_YET = 0
    SENT = 1
    NO_LONGER_CUSTOMER = 2
    CUSTOMER_LIMIT = 3


_DELIVERY_STATES: Final = {state.value: state for state in DeliveryState}


@dataclass(frozen=True, slots=True)
class GroupSend:
    """An accepted group send. Nothing has been sent: staff must confirm. `unreachable` customers are left out."""

    message_id: str
    unreachable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupSendResult:
    """The fate of a group send for one customer of one member of staff."""

    staff_id: str
    external_user_id: str
    state: DeliveryState


class CustomerContacts:
    """The customer APIs of one application. Every method raises `CallFailed` when refused or unknown."""

    def __init__(self, api: WecomApi) -> None:
        self._api = api

    async def welcome(self, welcome_code: str, text: str, attachments: Sequence[Mapping[str, object]] = ()) -> Accepted:
        """Greet a customer who was just added; once per code, within 20 s.

        Raises:
            CallFailed: too late or already greeted (`NO_WINDOW`), refused, or unknown.
        """
        body: dict[str, object] = {"welcome_code": welcome_code}
        if text:
            body["text"] = {"content": text}
        if attachments:
            body["attachments"] = list(attachments)
        try:
            async with asyncio.timeout(WELCOME_BUDGET_S):
                await self._api.post("/cgi-bin/externalcontact/send_welcome_msg", body)
        except TimeoutError:
            raise CallFailed(Unknown("no answer while the welcome code lives")) from None
        return Accepted()

    async def customer(self, external_user_id: str) -> Customer:
        """A customer with everybody who serves them.

        Raises:
            CallFailed: no (longer a) customer (`BLOCKED`), refused, or unknown.
        """
        relations: list[Relation] = []
        cursor = ""
        for _page in range(_MOST_PAGES):
            params = {"external_userid": external_user_id, **({"cursor": cursor} if cursor else {})}
            answer = await self._api.get("/cgi-bin/externalcontact/get", params)
            relations += [_relation(entry) for entry in _objects(answer.get("follow_user"))]
            cursor = _text(answer.get("next_cursor"))
            if not cursor:
                return _customer(_object(answer.get("external_contact")), tuple(relations))
        raise CallFailed(Unknown("more pages than a customer can have"))

    async def customers_of(self, staff_ids: Sequence[str], cursor: str = "") -> tuple[tuple[Customer, ...], str]:
        """One page of the customers of up to 100 members of staff, and the cursor of the next page ("" at the end).

        A customer of several members of staff occurs once for each, with that one relation.
        """
        body = {"userid_list": list(staff_ids), "cursor": cursor, "limit": _PAGE}
        answer = await self._api.post("/cgi-bin/externalcontact/batch/get_by_user", body)
        page = tuple(
            _customer(_object(entry.get("external_contact")), (_relation(_object(entry.get("follow_info"))),))
            for entry in _objects(answer.get("external_contact_list"))
        )
        return page, _text(answer.get("next_cursor"))

    async def add_contact_way(self, staff_ids: Sequence[str], *, state: str, remark: str = "") -> ContactWay:
        """A permanent contact code for one or several members of staff; who scans it is added without a question.

        `state` (at most 30 characters) comes back in the event and names the channel the customer came through.
        """
        body = {
            "type": 1 if len(staff_ids) == 1 else 2,
            "scene": 2,
            "skip_verify": True,
            "state": state,
            "remark": remark,
            "user": list(staff_ids),
        }
        answer = await self._api.post("/cgi-bin/externalcontact/add_contact_way", body)
        config_id, qr_code = _text(answer.get("config_id")), _text(answer.get("qr_code"))
        if not config_id:
            raise CallFailed(Unknown("an answer without config_id"))
        return ContactWay(config_id, qr_code)

    async def mark_tags(
        self, staff_id: str, external_user_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Change the corp tags of one relation."""
        body = {
            "userid": staff_id,
            "external_userid": external_user_id,
            "add_tag": list(add),
            "remove_tag": list(remove),
        }
        await self._api.post("/cgi-bin/externalcontact/mark_tag", body)

    async def remark(
        self,
        staff_id: str,
        external_user_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        phones: Sequence[str] | None = None,
    ) -> None:
        """Write what `staff_id` notes about a customer; what is None stays.

        `name` has at most 20 characters, `description` 150.
        """
        body: dict[str, object] = {"userid": staff_id, "external_userid": external_user_id}
        if name is not None:
            body["remark"] = name
        if description is not None:
            body["description"] = description
        if phones is not None:
            body["remark_mobiles"] = list(phones)
        await self._api.post("/cgi-bin/externalcontact/remark", body)

    async def add_group_send(
        self,
        external_user_ids: Sequence[str],
        text: str,
        *,
        attachments: Sequence[Mapping[str, object]] = (),
        sender: str | None = None,
    ) -> GroupSend:
        """Ask staff (or just `sender`) to confirm a message to up to 10,000 customers.

        Raises:
            CallFailed: nobody can be reached (`CONTENT`, 41048), refused, or unknown.
        """
        body: dict[str, object] = {"chat_type": "single", "external_userid": list(external_user_ids)}
        if sender:
            body["sender"] = sender
        if text:
            body["text"] = {"content": text}
        if attachments:
            body["attachments"] = list(attachments)
        answer = await self._api.post("/cgi-bin/externalcontact/add_msg_template", body)
        message_id = _text(answer.get("msgid"))
        if not message_id:
            raise CallFailed(Unknown("an answer without msgid"))
        return GroupSend(message_id, _texts(answer.get("fail_list")))

    async def group_send_results(self, message_id: str, staff_id: str) -> tuple[GroupSendResult, ...]:
        """What became of a group send for the customers of `staff_id`."""
        results: list[GroupSendResult] = []
        cursor = ""
        for _page in range(_MOST_PAGES):
            body = {"msgid": message_id, "userid": staff_id, "limit": 1000, "cursor": cursor}
            answer = await self._api.post("/cgi-bin/externalcontact/get_groupmsg_send_result", body)
            results += [_group_result(entry, staff_id) for entry in _objects(answer.get("send_list"))]
            cursor = _text(answer.get("next_cursor"))
            if not cursor:
                break
        return tuple(results)


def _customer(contact: Mapping[str, Json], relations: tuple[Relation, ...]) -> Customer:
    return Customer(
        external_user_id=_text(contact.get("external_userid")),
        name=_text(contact.get("name")),
        union_id=_text(contact.get("unionid")) or None,
        is_wechat_user=contact.get("type") == 1,
        relations=relations,
    )


def _relation(entry: Mapping[str, Json]) -> Relation:
    tags = [_text(tag.get("tag_id")) for tag in _objects(entry.get("tags"))]
    return Relation(
        staff_id=_text(entry.get("userid")),
        since=datetime.fromtimestamp(_number(entry.get("createtime")), UTC),
        state=_text(entry.get("state")) or None,
        add_way=_number(entry.get("add_way")),
        remark=_text(entry.get("remark")),
        phones=_texts(entry.get("remark_mobiles")),
        tag_ids=tuple(tag for tag in tags if tag) or _texts(entry.get("tag_id")),
    )


def _group_result(entry: Mapping[str, Json], staff_id: str) -> GroupSendResult:
    return GroupSendResult(
        staff_id=_text(entry.get("userid")) or staff_id,
        external_user_id=_text(entry.get("external_userid")),
        state=_DELIVERY_STATES.get(_number(entry.get("status")), DeliveryState.NOT_YET),
    )


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Json) -> list[Mapping[str, Json]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(entry for entry in value if isinstance(entry, str)) if isinstance(value, list) else ()


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**33 else 0
