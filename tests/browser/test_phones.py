"""The main job in a browser: a newcomer follows, checks in, and sees the letters that made it happen."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Control, Visit

pytestmark = pytest.mark.browser


async def follow(page: Page) -> None:
    await page.click("#phone-oa #oa-follow")
    await expect(page.locator("#phone-oa .composer-input")).to_be_visible()


async def exchange(page: Page, words: str) -> Locator:
    """The newest callback about this page's member that says `words`."""
    name = await page.locator("#pick-member option:checked").inner_text()
    row = page.locator(".exchange[data-kind=callback]", has_text=words).filter(has_text=name).first
    await expect(row).to_be_visible()
    return row


async def say(page: Page, phone: str, words: str) -> None:
    field = page.locator(f"#phone-{phone} .composer-input")
    await field.fill(words)
    await field.press("Enter")


async def test_follow_and_check_in_tick_the_guide(visit: Visit) -> None:
    page = await visit()
    steps = page.locator(".step")
    await expect(steps.nth(0)).to_have_attribute("data-state", "next")
    await steps.nth(0).locator("button").click()
    await expect(steps.nth(0)).to_have_attribute("data-state", "done")
    await steps.nth(1).locator("button").click()
    await expect(steps.nth(1)).to_have_attribute("data-state", "done")
    answer = page.locator("#phone-oa .line[data-from=account]").last
    await expect(answer).to_contain_text("签到成功")


async def test_the_wire_shows_the_sealed_and_the_opened_letters(visit: Visit) -> None:
    page = await visit()
    await follow(page)
    await say(page, "oa", "签到")
    row = await exchange(page, "「签到」")
    await row.locator(".exchange-row").click()
    letters = row.locator(".letter pre")
    await expect(letters).to_have_count(4)
    assert "<Encrypt>" in await letters.nth(0).inner_text()
    assert "签到" not in await letters.nth(0).inner_text()
    assert "<Content>签到</Content>" in await letters.nth(1).inner_text()
    assert "<MsgSignature>" in (await letters.nth(2).inner_text())
    await expect(letters.nth(3)).to_contain_text("积分")
    await expect(row.locator(".verdict")).to_have_text("已回复")


async def test_the_menu_that_the_product_published_can_be_pressed(visit: Visit) -> None:
    page = await visit()
    await follow(page)
    await page.click("#phone-oa .composer-row .tool >> nth=0")
    buttons = page.locator("#phone-oa .menu-button")
    await expect(buttons.first).to_be_visible()
    opener = page.locator("#phone-oa .menu-button[aria-expanded]").first
    await opener.click()
    entry = page.locator("#phone-oa .menu-entry", has_text="我的积分")
    await expect(entry).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(entry).to_be_hidden()
    await opener.click()
    await entry.click()
    await expect(page.locator("#phone-oa .line[data-from=account]").last).to_contain_text("积分")
    await expect(entry).to_be_hidden()
    await page.locator("#phone-oa .menu-button", has_text="签到").click()
    await expect(page.locator("#phone-oa .line[data-from=account]").last).to_contain_text("签到成功")


async def test_a_scan_tells_the_scene(visit: Visit) -> None:
    page = await visit()
    await page.get_by_role("button", name="扫门店海报").click()
    await page.locator(".poster", has_text="store:hz-xihu").click()
    await exchange(page, "qrscene_store:hz-xihu")
    await expect(page.locator("#phone-oa .composer-input")).to_be_visible()


async def test_what_people_write_never_becomes_markup(visit: Visit) -> None:
    page = await visit()
    await follow(page)
    hostile = "<img src=x onerror=alert(1)><b>粗</b>]]>"
    await say(page, "oa", hostile)
    await expect(page.locator("#phone-oa .line[data-from=person]").last).to_contain_text(hostile)
    row = await exchange(page, "粗")
    await row.locator(".exchange-row").click()
    assert await page.locator("#app img").count() == 0


async def test_telegram_starts_and_its_buttons_can_be_pressed(visit: Visit) -> None:
    page = await visit()
    await page.click("#telegram-start")
    key = page.locator("#phone-telegram .key").first
    await expect(key).to_be_visible()
    before = await page.locator("#phone-telegram .line[data-from=account]").count()
    await key.click()
    await expect(page.locator("#phone-telegram .line[data-from=account]")).not_to_have_count(before)


async def test_the_mini_program_logs_in_and_checks_in(visit: Visit) -> None:
    page = await visit()
    await page.click("#mini-open")
    points = page.locator("#mini-points")
    await expect(points).to_have_text("0")
    await page.click("#mini-check-in")
    await expect(points).not_to_have_text("0")
    await expect(page.locator("#mini-check-in")).to_be_disabled()
    await page.click("#phone-mini [data-keep=tab-points]")
    await page.click("#phone-mini .movements .text-link")
    await expect(page.locator("#phone-mini .movement-why")).not_to_be_empty()
    await page.reload()
    await expect(points).not_to_have_text("0")


async def test_the_member_code_turns_and_is_a_picture(visit: Visit) -> None:
    page = await visit()
    await page.click("#mini-open")
    await page.click("#mini-show-code")
    code = page.locator("#mini-code")
    await expect(code).to_have_text(re.compile(r"^[\d ]{16,}$"))
    assert await page.locator("#phone-mini svg.qr path").count() == 1


async def test_faults_are_switched_on_and_off(visit: Visit, control: Control) -> None:
    page = await visit()
    await page.click("[data-part=lab]")
    switch = page.locator("[data-fault=duplicate]")
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "true")
    faults = (await control.call("GET", "faults"))["faults"]
    assert [(fault["kind"], fault["api"]) for fault in faults] == [("duplicate", "callback")]
    await page.click("#phone-oa #oa-follow")
    await page.click("[data-part=wire]")
    name = await page.locator("#pick-member option:checked").inner_text()
    rows = page.locator(".exchange[data-kind=callback]", has_text="subscribe").filter(has_text=name)
    await expect(rows).to_have_count(2)
    await expect(page.locator("#phone-oa .line[data-from=account]")).to_have_count(1)
    await page.click("[data-part=lab]")
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "false")
    assert (await control.call("GET", "faults"))["faults"] == []


async def test_the_consoles_verification_passes(visit: Visit) -> None:
    page = await visit()
    await page.click("[data-part=lab]")
    for name in ("公众号", "小程序", "企业微信"):
        await page.get_by_role("button", name=f"验证{name}").click()
        await expect(page.locator(".verify-answers")).to_have_text(f"{name}：通过")
