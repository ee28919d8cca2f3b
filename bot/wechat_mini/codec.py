"""Messages to a mini-program's customer-service chat: neutral reply → text.

What comes in is read by `bot/wx_messages.py`, which both WeChat apps share.
"""

from bot.wx_text import wechat_text
from handlers.messages import Reply


def reply_text(reply: Reply) -> str:
    """The words of `reply`; this chat has no msgmenu, so a button that is no link is said in words."""
    pages = tuple(button for button in reply.buttons if button.url is not None)
    spoken = [f"· {button.text}" for button in reply.buttons if button.url is None]
    text = "\n".join([reply.text, *spoken]) if spoken else reply.text
    return wechat_text(Reply(text=text, buttons=pages, card=reply.card))
