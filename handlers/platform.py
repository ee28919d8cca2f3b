"""What platforms tell about people: reports, withdrawals, customers and colleagues who come and go."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from handlers import render, scenes
from handlers.messages import (
    SILENT,
    AuthorisationRevoked,
    CustomerAdded,
    Inbound,
    Reply,
    SendOutcome,
    SendReport,
    StaffChanged,
)
from loyalty import db
from loyalty.access import SystemPrincipal
from loyalty.errors import Refusal
from loyalty.identity import queries as identity_read
from loyalty.identity import service as identity
from loyalty.identity.queries import Known
from loyalty.identity.service import Contact
from loyalty.members import service as members
from loyalty.outbox import service as outbox
from loyalty.program import queries as program
from loyalty.reach import service as reach
from loyalty.staff import service as staff

ADDRESS_BOOK: Final = SystemPrincipal("wecom address book")
PHONE_NUMBER: Final = "8"
"""The platform's code of the phone number among what a person can withdraw (公众号 and 小程序)."""

_CODE_LENGTH_MAX: Final = 40


async def unhandled(inbound: Inbound, now: datetime) -> Reply:
    """Say nothing; the inbox keeps what it said, so that nothing a platform told us is lost."""
    return SILENT


async def send_report(inbound: Inbound, now: datetime) -> Reply:
    """What became of an accepted message; whoever blocked us is not written to again."""
    report = inbound.content
    if not isinstance(report, SendReport):
        return SILENT
    if report.outcome is not SendOutcome.DELIVERED:
        await outbox.report_delivery(
            report.platform_message_id,
            account=inbound.sender.account,
            status="rejected",
            code=report.detail[:_CODE_LENGTH_MAX] or report.outcome.value,
        )
    person = await _known(inbound) if report.outcome is SendOutcome.BLOCKED else None
    if person is not None:
        await identity.blocked(person.identity_id, now=now)
    return SILENT


async def authorisation_revoked(inbound: Inbound, now: datetime) -> Reply:
    """The person withdrew what the platform had passed on: the number goes; a closed account is not written to."""
    revoked, person = inbound.content, await _known(inbound)
    if person is None or not isinstance(revoked, AuthorisationRevoked):
        return SILENT
    if revoked.cancelled:
        await identity.left(person.identity_id, now=now)
    if revoked.cancelled or PHONE_NUMBER in revoked.revoke_codes:
        await members.release_phone(person.member_id)
    return SILENT


async def customer_added(inbound: Inbound, now: datetime) -> Reply:
    """A customer added a colleague: they are a person we know now, greeted while the welcome code lives."""
    added = inbound.content
    if not isinstance(added, CustomerAdded):
        return SILENT
    sender = inbound.sender
    contact = Contact(
        channel=sender.channel,
        account=sender.account,
        app_id=sender.app_id,
        external_id=added.external_user_id,
        union_id=sender.union_id,
        scene=scenes.kept(added.state),
    )
    person = await identity.resolve(contact, now=now)
    await identity.followed(person.identity_id, scene=scenes.kept(added.state), now=now)
    await reach.served_by(person.identity_id, added.staff_id)
    linked = await _linked(added.state, person.identity_id, now)
    terms = (await program.in_force(now)).terms
    brand = render.local(terms.brand, render.locale_of(person.locale))
    words = render.render("customer_welcome", person.locale, brand=brand, linked=linked)
    # The greeting of a customer shows pages, not buttons.
    return replace(words, buttons=tuple(button for button in words.buttons if button.url))


async def customer_removed(inbound: Inbound, now: datetime) -> Reply:
    """The contact ended: nobody is left there to be written to."""
    person = await _known(inbound)
    if person is not None:
        await identity.left(person.identity_id, now=now)
    return SILENT


async def staff_changed(inbound: Inbound, now: datetime) -> Reply:
    """Whoever left the corp leaves the shop: rights and sessions end now."""
    changed = inbound.content
    if isinstance(changed, StaffChanged) and changed.removed:
        await staff.remove_staff(inbound.sender.app_id, changed.staff_id, principal=ADDRESS_BOOK, now=now)
    return SILENT


async def _known(inbound: Inbound) -> Known | None:
    sender = inbound.sender
    return await identity_read.find(sender.channel, sender.app_id, sender.external_id)


async def _linked(state: str | None, identity_id: int, now: datetime) -> bool:
    scene = scenes.read(state)
    if scene is None or scene.kind != scenes.LINK:
        return False
    try:
        async with db.attempt():
            return not isinstance(await identity.redeem_link_code(scene.value, identity_id, now=now), Refusal)
    except Refusal:
        return False
