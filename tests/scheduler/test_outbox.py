from bot.accounts import NoticeTemplate
from bot.channel import Rejected, RejectReason, Unknown
from loyalty import db
from tests.loyalty import shop
from tests.scheduler.stage import Platform, hands, outcome, person, queued, send_all, spoke


async def test_a_tier_notice_follows_a_purchase_by_itself(database: None) -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    await shop.bought(who.member_id, 600_00, now=await db.now())
    await send_all(hands(telegram))
    assert len(telegram.sent) == 1
    assert "银卡" in telegram.sent[0].reply.text
