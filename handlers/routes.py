"""Which conversation each kind of message belongs to: literal tables, one per kind of speaker."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from handlers import (
    check_in,
    coupons,
    draws,
    guidance,
    intents,
    joining,
    language,
    linking,
    mall,
    membership,
    my_data,
    platform,
    points,
    preferences,
    profile,
    staff_desk,
    staff_finding,
    staff_refunds,
    staff_serving,
    staff_tiers,
    stored_value,
    welcome,
)
from handlers.chat import Chat, StaffChat
from handlers.messages import Inbound, Reply, Text

BURSTS: Final[Mapping[str, Callable[[Sequence[Chat]], Awaitable[list[Reply]]]]] = {
    "check_in": check_in.run_many,
}
MEMBER: Final[Mapping[str, Callable[[Chat], Awaitable[Reply]]]] = {
    "check_in_rules": guidance.check_in_rules,
    "points": points.run,
    "points_why": points.why,
    "points_rules": points.rules,
    "points_missing": points.missing,
    "coupons": coupons.mine,
    "coupon": coupons.show,
    "coupon_rules": guidance.coupon_rules,
    "coupons_claimable": coupons.claimable,
    "claim": coupons.claim,
    "mall": mall.run,
    "mall_item": mall.item,
    "mall_take": mall.take,
    "mall_orders": mall.orders,
    "mall_cancel": mall.cancel,
    "mall_code": mall.code,
    "draws": draws.run,
    "draw": draws.draw,
    "wins": draws.wins,
    "stored_value": stored_value.run,
    "stored_value_payout": stored_value.payout,
    "tier": membership.tier,
    "tier_history": membership.tier_history,
    "purchases": membership.recent_purchases,
    "member_code": membership.code,
    "join": joining.start,
    "agree": joining.agree,
    "agree_plain": joining.agree_plain,
    "bind_phone": joining.bind,
    "resend_code": joining.resend,
    "claim_number": joining.claim_number,
    "phone_claim": joining.keep_number,
    joining.ROUTE: joining.answer,
    "shared_contact": joining.shared_contact,
    "profile": profile.run,
    "set_name": profile.ask_name,
    "set_birthday": profile.ask_birthday,
    profile.ROUTE: profile.answer,
    "link": linking.run,
    "link_redeem": linking.redeem,
    linking.ROUTE: linking.redeem,
    "preferences": preferences.run,
    "unsubscribe": preferences.unsubscribe,
    "resubscribe": preferences.resubscribe,
    "allow": preferences.allow,
    "deny": preferences.deny,
    "my_data": my_data.run,
    "export_data": my_data.export,
    "close_account": my_data.close,
    "close_confirmed": my_data.close_confirmed,
    my_data.ROUTE: my_data.answer,
    "help": guidance.run,
    "speak_chinese": language.chinese,
    "speak_english": language.english,
    "human": guidance.human,
    "thanks": guidance.thanks,
    "media": guidance.media,
    "cancel": guidance.cancel,
    "fallback": guidance.fallback,
    "unhandled": welcome.unhandled,
    "welcome": welcome.run,
    "scan": welcome.scan,
    "enter": welcome.enter,
    "grants": welcome.grants,
    "farewell": welcome.farewell,
}
STAFF: Final[Mapping[str, Callable[[StaffChat], Awaitable[Reply]]]] = {
    "find": staff_finding.find,
    "register": staff_finding.register,
    "member": staff_finding.show_again,
    "link_code": staff_finding.link_code,
    "scan": staff_serving.scan,
    "purchase": staff_serving.purchase,
    "redeem": staff_serving.redeem,
    "take": staff_serving.redeem_button,
    "hand_over": draws.hand_over,
    "mall_waiting": mall.waiting,
    "mall_collect": mall.collect,
    "mall_ship": mall.ship,
    "undo_redeem": staff_serving.undo_redeem,
    "grant": staff_serving.grant,
    "deduct": staff_serving.deduct,
    "refund": staff_refunds.preview,
    "refund_do": staff_refunds.confirm,
    "serving": staff_serving.answer,
    "set_tier": staff_tiers.set_tier,
    "approvals": staff_desk.waiting,
    "approve": staff_desk.approve,
    "refuse": staff_desk.refuse,
    "today": staff_desk.today,
    "help": staff_desk.guide,
    "welcome": staff_desk.guide,
    "done": staff_desk.done,
    "cancel": staff_desk.cancel,
    "media": staff_desk.fallback,
    "fallback": staff_desk.fallback,
    "enter": staff_desk.silent,
    "farewell": staff_desk.silent,
    "unhandled": staff_desk.unhandled,
}
PLATFORM: Final[Mapping[str, Callable[[Inbound, datetime], Awaitable[Reply]]]] = {
    "send_report": platform.send_report,
    "authorisation_revoked": platform.authorisation_revoked,
    "customer_added": platform.customer_added,
    "customer_removed": platform.customer_removed,
    "staff_changed": platform.staff_changed,
    "unhandled": platform.unhandled,
}

# What may answer the question of a dialogue; any words, where nothing stands here.
ANSWERS: Final[Mapping[str, Callable[[str], bool]]] = {linking.ROUTE: linking.may_be_code}


def continued(chat: Chat, name: str) -> str:
    """The route of free text inside a dialogue: the dialogue's own; an exact command keeps its own, so that
    nobody is held by a question, and a name or a reason is not mistaken for a wish."""
    content, dialogue = chat.inbound.content, chat.dialogue
    if dialogue is None or not isinstance(content, Text) or not is_free(chat.inbound, for_staff=False):
        return name
    return dialogue.name if ANSWERS.get(dialogue.name, _any_words)(content.text) else name


def _any_words(_text: str) -> bool:
    return True


def continued_by_staff(chat: StaffChat, name: str) -> str:
    """The same for staff."""
    return chat.dialogue.name if chat.dialogue is not None and is_free(chat.inbound, for_staff=True) else name


def is_free(inbound: Inbound, *, for_staff: bool) -> bool:
    """True for words that may answer a question: no button, and no command by themselves."""
    content = inbound.content
    return isinstance(content, Text) and not intents.recognise(content.text, for_staff=for_staff).exact
