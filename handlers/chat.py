"""What a handler gets: who speaks, what they said, when, and how to answer in their words."""

from dataclasses import dataclass
from datetime import date, datetime

from handlers import render
from handlers.messages import Inbound, Reply
from loyalty.access import StaffPrincipal
from loyalty.clock import business_day
from loyalty.dialogues.service import Dialogue
from loyalty.identity.service import Person
from loyalty.program.queries import PublishedTerms


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
    def locale(self) -> str:
        """The words to answer in."""
        return render.locale_of(self.person.locale)

    @property
    def business_day(self) -> date:
        """Today in the programme's calendar."""
        return business_day(self.now, self.published.terms.calendar)

    def say(self, template: str, **facts: object) -> Reply:
        """The words of `template` for this person; brand, day and terms are always at hand."""
        terms = self.published.terms
        brand = terms.brand.get(self.locale, next(iter(terms.brand.values())))
        return render.render(template, self.locale, brand=brand, today=self.business_day, terms=terms, **facts)


@dataclass(frozen=True, slots=True)
class StaffChat:
    """One message of a member of staff in its unit of work."""

    inbound: Inbound
    staff: StaffPrincipal
    published: PublishedTerms
    now: datetime
    rest: str = ""
    dialogue: Dialogue | None = None
    locale: str = "zh-CN"

    def say(self, template: str, *, task_id: str | None = None, **facts: object) -> Reply:
        """The words of staff template `template`."""
        return render.render(
            template, self.locale, task_id=task_id, folder="staff", terms=self.published.terms, **facts
        )
