import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channel import Malformed
from bot.wecom.codec import RECOGNISED, decode
from bot.wx_messages import Addressee
from bot.wx_xml import parse
from handlers.messages import (
    CardPressed,
    Click,
    CustomerAdded,
    CustomerRemoved,
    EnterChat,
    Follow,
    Inbound,
    Media,
    Scan,
    SenderKind,
    StaffChanged,
    Text,
    Unfollow,
    Unhandled,
)
from tests.bot.wecom.platform_side import CORP_ID, CUSTOMER_ID, STAFF_ID, push, said

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
TO = Addressee("wecom", "main", CORP_ID)
PAYLOADS = Path(__file__).parent / "payloads"

SCANNED = "<ScanType><![CDATA[{}]]></ScanType><ScanResult><![CDATA[{}]]></ScanResult>"


def decoded(xml: str | bytes) -> Inbound:
    return decode(parse(xml.encode() if isinstance(xml, str) else xml), to=TO, received_at=NOW)


def event(name: str, sender: str = STAFF_ID, **fields: str) -> str:
    return push(NOW, sender, MsgType="event", Event=name, **fields)


def test_words_of_staff() -> None:
    inbound = decoded(said("13800138000", at=NOW))
    assert inbound.content == Text("13800138000")
    assert (inbound.sender.kind, inbound.sender.external_id) == (SenderKind.STAFF, STAFF_ID)
    assert (inbound.sender.channel, inbound.sender.app_id) == ("wecom", CORP_ID)
    assert (inbound.key, inbound.sent_at) == ("7000000000000000001", NOW)


@pytest.mark.parametrize(
    ("xml", "content"),
    [
        (event("subscribe"), Follow()),
        (event("unsubscribe"), Unfollow()),
        (event("enter_agent"), EnterChat("enter_agent")),
        (event("click", EventKey="find"), Click("find")),
        (event("CLICK", EventKey="find"), Click("find")),
        (event("scancode_waitmsg", EventKey="s", ScanCodeInfo=SCANNED.format("qrcode", "8231,77")), Scan("8231,77")),
        (event("scancode_push", ScanCodeInfo=SCANNED.format("barcode", "CODE_128,6901")), Scan("6901")),
        (event("scancode_push", ScanCodeInfo=SCANNED.format("barcode", "6901")), Scan("6901")),
        (event("scancode_push"), Scan("")),
        (
            event("template_card_event", EventKey="redeem", TaskId="t1", ResponseCode="rc"),
            CardPressed("t1", "redeem", "rc"),
        ),
        (event("template_card_menu_event", EventKey="mute", TaskId="t1"), CardPressed("t1", "mute")),
        (event("taskcard_click", EventKey="yes", TaskId="t1"), CardPressed("t1", "yes")),
        (
            push(NOW, MsgType="image", PicUrl="http://p", MediaId="m", MsgId="1"),
            Media("image", {"MediaId": "m", "PicUrl": "http://p"}),
        ),
        (event("location", Latitude="31", Longitude="121"), Unhandled("location", recognised=True)),
        (
            event("view", EventKey="http://x"),
            Unhandled("view", recognised=True, fields={"EventKey": "http://x", "AgentID": "1000002"}),
        ),
    ],
)
def test_what_staff_do(xml: str, content: object) -> None:
    inbound = decoded(xml)
    assert inbound.content == content
    assert inbound.sender.kind is SenderKind.STAFF


@pytest.mark.parametrize(
    ("change", "fields", "content"),
    [
        (
            "add_external_contact",
            {"State": "store42-poster7", "WelcomeCode": "WELCOME1"},
            CustomerAdded("lisi", CUSTOMER_ID, "store42-poster7", "WELCOME1"),
        ),
        ("add_half_external_contact", {}, CustomerAdded("lisi", CUSTOMER_ID)),
        ("del_follow_user", {}, CustomerRemoved("lisi", CUSTOMER_ID, by_customer=True)),
        (
            "del_external_contact",
            {"Source": "DELETE_BY_TRANSFER"},
            CustomerRemoved("lisi", CUSTOMER_ID, by_customer=False),
        ),
    ],
)
def test_what_happens_with_customers(change: str, fields: dict[str, str], content: object) -> None:
    xml = event(
        "change_external_contact", "sys", ChangeType=change, UserID="lisi", ExternalUserID=CUSTOMER_ID, **fields
    )
    inbound = decoded(xml)
    assert inbound.content == content
    assert (inbound.sender.kind, inbound.sender.external_id) == (SenderKind.PLATFORM, CUSTOMER_ID)


def test_other_changes_of_customers_are_recognised() -> None:
    xml = event("change_external_contact", "sys", ChangeType="transfer_fail", FailReason="customer_refused")
    content = decoded(xml).content
    assert isinstance(content, Unhandled)
    assert (content.kind, content.recognised) == ("change_external_contact/transfer_fail", True)


@pytest.mark.parametrize(
    ("change", "status", "content"),
    [
        ("update_user", "1", StaffChanged("lisi", removed=False)),
        ("update_user", "2", StaffChanged("lisi", removed=True)),
        ("update_user", "5", StaffChanged("lisi", removed=True)),
        ("delete_user", "", StaffChanged("lisi", removed=True)),
    ],
)
def test_what_happens_with_staff(change: str, status: str, content: object) -> None:
    inbound = decoded(event("change_contact", "sys", ChangeType=change, UserID="lisi", Status=status))
    assert inbound.content == content
    assert inbound.sender.external_id == "lisi"


def test_personal_details_of_the_address_book_are_not_kept() -> None:
    xml = event("change_contact", "sys", ChangeType="create_user", UserID="lisi", Name="李四", Mobile="13800138000")
    assert decoded(xml).content == Unhandled(
        "change_contact/create_user",
        recognised=True,
        fields={"ChangeType": "create_user", "UserID": "lisi", "AgentID": "1000002"},
    )


def test_events_of_one_second_are_told_apart_and_repeats_are_not() -> None:
    def added(customer: str, code: str = "w") -> str:
        fields = {"ChangeType": "add_external_contact", "UserID": "lisi", "ExternalUserID": customer}
        return decoded(event("change_external_contact", "sys", **fields, WelcomeCode=code)).key

    assert added("wm1") == added("wm1")
    assert added("wm1") != added("wm2")
    presses = {decoded(event("template_card_event", TaskId="t", EventKey=key)).key for key in ("yes", "no", "yes")}
    assert len(presses) == 2


def test_unknown_events_are_kept_by_name() -> None:
    content = decoded(event("moon_landing", Crew="3")).content
    assert content == Unhandled("moon_landing", recognised=False, fields={"Crew": "3", "AgentID": "1000002"})


def test_envelopes_of_suites_are_recognised_and_not_acted_on() -> None:
    xml = "<xml><SuiteId>s</SuiteId><AuthCorpId>c</AuthCorpId><InfoType>change_external_contact</InfoType>"
    xml += "<TimeStamp>1403610513</TimeStamp><ChangeType>add_external_contact</ChangeType><UserID>u</UserID>"
    inbound = decoded(xml + f"<ExternalUserID>{CUSTOMER_ID}</ExternalUserID></xml>")
    assert isinstance(inbound.content, Unhandled)
    assert inbound.content.recognised
    assert inbound.sender.kind is SenderKind.PLATFORM
    assert inbound.sent_at == datetime.fromtimestamp(1403610513, UTC)


def test_a_push_without_kind_is_malformed() -> None:
    with pytest.raises(Malformed):
        decoded("<xml><FromUserName>x</FromUserName></xml>")


names = st.sampled_from(
    ["MsgType", "InfoType", "Event", "ChangeType", "FromUserName", "CreateTime", "MsgId", "UserID", "ScanCodeInfo"]
)
values = (
    st.text(max_size=40)
    | st.sampled_from(["event", "text", *RECOGNISED])
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
)


@given(st.dictionaries(names, values, max_size=8))
def test_odd_fields_raise_nothing_but_malformed(fields: dict[str, object]) -> None:
    try:
        inbound = decode(fields, to=TO, received_at=NOW)
    except Malformed:
        return
    assert inbound.sender.external_id
    assert inbound.key


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.xml")), ids=lambda path: path.stem)
def test_own_payloads(path: Path) -> None:
    xml = path.read_text(encoding="utf-8")
    expected = re.search(r"<!-- content: (\w+) -->", xml)
    assert expected is not None
    assert type(decoded(xml).content).__name__ == expected[1]


@pytest.mark.outside
def test_public_payloads_are_recognised(outside: Path) -> None:
    entries = json.loads((outside / "protocol/manifest.json").read_text())["entries"]
    plain = [
        e for e in entries if e["file"].startswith("wecom/") and e["file"].endswith(".xml") and "_enc_" not in e["file"]
    ]
    plain = [e for e in plain if not e["file"].startswith(("wecom/enc_", "wecom/hostile_"))]
    assert len(plain) >= 60
    for entry in plain:
        body = (outside / "protocol" / entry["file"]).read_bytes()
        inbound = decoded(body)
        expected = dict(re.findall(r"(\w+)=([^,]*)", entry["expected"]))
        if "CreateTime" in expected and expected["CreateTime"] != "None":
            assert inbound.sent_at == datetime.fromtimestamp(int(expected["CreateTime"]), UTC), entry["file"]
        if expected.get("MsgId") and expected.get("MsgType") != "event":
            assert inbound.key == expected["MsgId"], entry["file"]
        if isinstance(inbound.content, Unhandled) and "reply" not in entry["file"]:
            assert inbound.content.recognised, (entry["file"], inbound.content)
        if expected.get("From") not in (None, "None", "sys") and not isinstance(inbound.content, CustomerAdded):
            assert inbound.sender.external_id == expected["From"], entry["file"]
