"""Refusals as replies, in the words of `templates/refusals`."""

from datetime import tzinfo

from handlers.messages import Reply
from handlers.render import locale_of, render
from loyalty.errors import Refusal
from templates.words import DEFAULT_ZONE, refusal_words


def reply(refusal: Refusal, locale: str | None, zone: tzinfo = DEFAULT_ZONE) -> Reply:
    """What happened and what to do next; times are those of `zone`."""
    return Reply(text=refusal_words(refusal.code, refusal.params, locale_of(locale), zone=zone).detail)


def unknown_staff(locale: str | None) -> Reply:
    """Somebody of the corp who is not staff here."""
    return render("unknown_staff", locale_of(locale), folder="staff")
