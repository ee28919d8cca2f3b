"""Passive replies of an official account: neutral reply → XML."""

from datetime import datetime

from bot.wx_text import wechat_text
from bot.wx_xml import render
from handlers.messages import Inbound, Reply


def reply_xml(reply: Reply, *, to: Inbound, now: datetime) -> bytes:
    """The text message that answers `to`, not yet encrypted."""
    return render(
        {
            "ToUserName": to.sender.external_id,
            "FromUserName": to.addressed_to,
            "CreateTime": int(now.timestamp()),
            "MsgType": "text",
            "Content": wechat_text(reply),
        }
    )
