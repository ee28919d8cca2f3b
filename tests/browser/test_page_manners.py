"""How the page behaves whoever uses it: languages, appearance, narrow screens, keyboard, screen readers."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Control, Visit

pytestmark = pytest.mark.browser

PROBES = Path(__file__).parent / "probes"
NAMELESS = (PROBES / "nameless.js").read_text(encoding="utf-8")
FAINT = (PROBES / "faint.js").read_text(encoding="utf-8")


async def chat(page: Page) -> None:
    await page.click("#phone-oa #oa-follow")
    await expect(page.locator("#phone-oa .line[data-from=account]").first).to_be_visible()
    await page.click("#mini-open")
    await expect(page.locator("#mini-points")).to_be_visible()
    await page.click("#telegram-start")
    await expect(page.locator("#phone-telegram .line[data-from=account]").first).to_be_visible()


async def test_english_is_chosen_and_remembered(visit: Visit) -> None:
    page = await visit()
    assert await page.locator("html").get_attribute("lang") == "zh-CN"
    await page.click("#language")
    await expect(page.locator("#phone-oa .device-title")).to_contain_text("Official account")
    await page.reload()
    await expect(page.locator("#phone-oa .device-title")).to_contain_text("Official account")
    assert await page.locator("html").get_attribute("lang") == "en"


async def test_the_chat_survives_a_change_of_language(visit: Visit) -> None:
    page = await visit()
    await chat(page)
    points = await page.locator("#mini-points").inner_text()
    await page.click("#language")
    await expect(page.locator("#phone-oa .line[data-from=account]").first).to_be_visible()
    await expect(page.locator("#mini-points")).to_have_text(points)


async def test_appearance_is_chosen_and_remembered(visit: Visit) -> None:
    page = await visit(color_scheme="light")
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(paper)
    await page.click("#theme")
    await page.click("#theme")
    assert await page.evaluate(paper) != light
    await page.reload()
    await page.wait_for_selector("#phone-oa")
    assert await page.evaluate(paper) != light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (1920, 1080), (390, 844)], ids=lambda size: f"{size[0]}")
async def test_everything_fits_has_a_name_and_can_be_read(visit: Visit, size: tuple[int, int], scheme: str) -> None:
    page = await visit(width=size[0], height=size[1], color_scheme=scheme, reduced_motion="reduce")
    if size[0] > 760:
        await chat(page)
    for part in ("#tab-mini", "#tab-panel", "#tab-oa"):
        if await page.locator(part).is_visible():
            await page.click(part)
        assert await page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert await page.evaluate(NAMELESS) == []
        assert await page.evaluate(FAINT) == []


async def test_a_narrow_screen_shows_one_phone_and_arrow_keys_turn_the_tabs(visit: Visit) -> None:
    page = await visit(width=390, height=844)
    await expect(page.locator(".device:visible")).to_have_count(1)
    await page.focus("#tab-oa")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#tab-mini")).to_be_focused()
    await expect(page.locator("#phone-mini")).to_be_visible()
    await expect(page.locator("#phone-oa")).to_be_hidden()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator("#panel")).to_be_visible()
    await expect(page.locator(".device:visible")).to_have_count(0)


async def test_the_main_job_needs_no_mouse(visit: Visit) -> None:
    page = await visit()
    await page.focus("#phone-oa #oa-follow")
    await page.keyboard.press("Enter")
    field = page.locator("#phone-oa .composer-input")
    await field.focus()
    await page.keyboard.type("签到")
    await page.keyboard.press("Enter")
    await expect(page.locator("#phone-oa .line[data-from=account]").last).to_contain_text("签到成功")
    await expect(field).to_be_focused()


async def test_the_panel_is_moved_with_keys_and_stays_where_it_was(visit: Visit) -> None:
    page = await visit()
    handle = page.locator(".panel-handle")
    before = int(await handle.get_attribute("aria-valuenow") or 0)
    await handle.press("ArrowUp")
    await page.reload()
    await page.wait_for_selector(".panel-handle")
    assert int(await page.locator(".panel-handle").get_attribute("aria-valuenow") or 0) > before


async def test_a_newcomer_starts_from_nothing_and_can_be_left_again(visit: Visit) -> None:
    page = await visit()
    await chat(page)
    first = await page.locator("#pick-member").input_value()
    await page.click("#newcomer")
    await expect(page.locator("#phone-oa #oa-follow")).to_be_visible()
    await expect(page.locator("#mini-open")).to_be_visible()
    assert await page.locator("#pick-member").input_value() != first
    await page.select_option("#pick-member", first)
    await expect(page.locator("#phone-oa .line[data-from=account]").first).to_be_visible()


async def test_a_second_window_sees_the_same_talk(visit: Visit, control: Control) -> None:
    member = await control.newcomer()
    page = await visit(member=member)
    other = await visit(member=member)
    await page.click("#phone-oa #oa-follow")
    await expect(other.locator("#phone-oa .line[data-from=account]").first).to_be_visible()
    await expect(other.locator("#phone-oa .composer-input")).to_be_visible()
