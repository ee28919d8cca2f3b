"""Refusals as replies, in the words of `templates/refusals`."""

from handlers.messages import Reply
from handlers.render import locale_of, render
from loyalty.errors import Refusal
from templates.words import refusal_words


def reply(refusal: Refusal, locale: str | None) -> Reply:
    """What happened and what to do next."""
    return Reply(text=refusal_words(refusal.code, refusal.params, locale_of(locale)).detail)


def unknown_staff(locale: str | None) -> Reply:
    """Somebody of the corp who is not staff here."""
    return render("unknown_staff", locale_of(locale), folder="staff")
