"""What can be said here."""

from handlers.chat import Chat
from handlers.messages import Reply


async def run(chat: Chat) -> Reply:
    """The overview."""
    return chat.say("help")


async def fallback(chat: Chat) -> Reply:
    """We are not sure what was meant: say so and offer the likeliest."""
    return chat.say("fallback")
