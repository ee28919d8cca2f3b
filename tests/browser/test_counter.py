"""At the counter: a member claims a coupon, a clerk scans the member's code and redeems it."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser


async def test_a_clerk_scans_the_member_and_redeems_the_coupon(visit: Visit) -> None:
    page = await visit()
    await page.click("#phone-oa #oa-follow")
    await page.click("#mini-open")
    await page.click("#phone-mini [data-keep=tab-coupons]")
    await page.locator("#phone-mini .ticket .button.primary:not(:disabled)").first.click()
    await expect(page.locator("#phone-mini .ticket[data-status=issued]")).to_have_count(1)
    await page.click("#wecom-scan")
    card = page.locator("#phone-wecom .wecom-card").last
    await expect(card).to_be_visible()
    await card.locator(".card-button", has_text="核销").first.click()
    await expect(page.locator("#phone-mini .ticket[data-status=redeemed]")).to_have_count(1)
    await expect(page.locator(".step[data-step=redeem]")).to_have_attribute("data-state", re.compile("done"))


async def test_a_clerk_cannot_scan_what_nobody_shows(visit: Visit) -> None:
    page = await visit()
    said = page.locator("#phone-wecom .line[data-from=person]")
    before = await said.count()
    await page.click("#wecom-scan")
    await expect(page.locator(".notice")).to_contain_text("会员码")
    await expect(said).to_have_count(before)
