"""What a handler gets: who speaks, what they said, when, and how to answer in their words."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from handlers import refusals, render
from handlers.messages import Inbound, Reply
from loyalty.access import StaffPrincipal
from loyalty.clock import business_day
from loyalty.dialogues import service as dialogues
from loyalty.dialogues.service import Dialogue
from loyalty.errors import Refusal
from loyalty.identity.service import Person
from loyalty.program.queries import PublishedTerms
from loyalty.program.terms import Terms
from templates.words import Locale

PATIENCE: Final = timedelta(minutes=10)
"""How long a dialogue waits for its next answer."""


@dataclass(frozen=True, slots=True)
class Chat:
    """One message of a member in its unit of work."""

    inbound: Inbound
    person: Person
    published: PublishedTerms
    now: datetime
    rest: str = ""
    dialogue: Dialogue | None = None

    @property
    def member_id(self) -> int:
        """Whose ledger and coupons this is about."""
        return self.person.member_id

    @property
    def channel(self) -> str:
        """The platform that the person speaks on."""
        return self.inbound.sender.channel

    @property
    def locale(self) -> Locale:
        """The words to answer in."""
        return render.locale_of(self.person.locale)

    @property
    def terms(self) -> Terms:
        """The terms in force."""
        return self.published.terms

    @property
    def business_day(self) -> date:
        """Today in the programme's calendar."""
        return business_day(self.now, self.terms.calendar)

    @property
    def evidence(self) -> str:
        """What proves that the person said so: the message itself."""
        return f"inbox:{self.channel}:{self.inbound.key}"

    def say(self, template: str, **facts: Any) -> Reply:
        """The words of `template` for this person; brand, day and terms are always at hand."""
        return render.render(
            template,
            self.locale,
            zone=self.terms.calendar,
            brand=render.local(self.terms.brand, self.locale),
            today=self.business_day,
            terms=self.terms,
            channel=self.channel,
            **facts,
        )

    def refuse(self, refusal: Refusal) -> Reply:
        """The words of a refusal that a verb returned so that what it counted is committed."""
        return refusals.reply(refusal, self.locale, self.terms.calendar)

    async def expect(self, route: str, step: str, **data: object) -> None:
        """Take the person's next free words as the answer to `step` of `route`, for ten minutes."""
        key = dialogues.key_of(self.person.identity_id)
        await dialogues.set(key, Dialogue(route, step, data, self.now + PATIENCE))

    async def finish(self) -> None:
        """End the dialogue, if one is open."""
        await dialogues.clear(dialogues.key_of(self.person.identity_id))


@dataclass(frozen=True, slots=True)
class StaffChat:
    """One message of a member of staff in its unit of work."""

    inbound: Inbound
    staff: StaffPrincipal
    published: PublishedTerms
    now: datetime
    rest: str = ""
    dialogue: Dialogue | None = None
    locale: Locale = "zh-CN"

    @property
    def terms(self) -> Terms:
        """The terms in force."""
        return self.published.terms

    @property
    def key(self) -> str:
        """What makes a deed of this message once."""
        return f"chat:{self.inbound.key}"[:80]

    @property
    def serving(self) -> int | None:
        """The member who stands in front of this member of staff."""
        found = self.dialogue.data.get("member_id") if self.dialogue is not None else None
        return int(found) if found is not None else None

    def say(self, template: str, *, task_id: str | None = None, **facts: Any) -> Reply:
        """The words of staff template `template`."""
        return render.render(
            template,
            self.locale,
            task_id=task_id,
            folder="staff",
            zone=self.terms.calendar,
            terms=self.terms,
            **facts,
        )

    def refuse(self, refusal: Refusal) -> Reply:
        """The words of a refusal that a verb returned so that what it counted is committed."""
        return refusals.reply(refusal, self.locale, self.terms.calendar)

    async def expect(self, step: str, *, member_id: int | None) -> None:
        """Serve `member_id` for ten minutes more; free words are the answer to `step` ("" expects none)."""
        data = {} if member_id is None else {"member_id": member_id}
        key = dialogues.key_of_staff(self.staff.staff_id)
        await dialogues.set(key, Dialogue("serving", step, data, self.now + PATIENCE))

    async def finish(self) -> None:
        """Serve nobody any more."""
        await dialogues.clear(dialogues.key_of_staff(self.staff.staff_id))
