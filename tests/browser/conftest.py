"""The whole product with its sandbox, as `xiaohui run` starts it, and a Chromium that looks at it."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.conftest import Servers

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ
CHROMIUM = ENVIRONMENT.get("XIAOHUI_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY_S = 90
STOP_S = 40
Visit = Callable[..., Awaitable[Page]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Chromium the browser tests are skipped by name; on CI they run, and fail."""
    if Path(CHROMIUM).exists() or ENVIRONMENT.get("XIAOHUI_CI"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="Chromium is not installed: apt-get install chromium"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's data folder."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
async def address(servers: Servers, database_url: str, home: Path) -> AsyncIterator[str]:
    """Where the running product's phones page is; it stops as Ctrl-C stops it."""
    # An empty file of its own, so that nobody's xiaohui.toml takes part.
    settings = home / "empty.toml"
    settings.touch()
    environment = {
        **ENVIRONMENT,
        "XIAOHUI_HOME": str(home),
        "XIAOHUI_DATABASE_URL": database_url,
        "XIAOHUI_REDIS_URL": servers.redis_url,
        "XIAOHUI_CONFIG": str(settings),
        "HOST": "127.0.0.1",
        "PORT": "0",
        "PYTHONUNBUFFERED": "1",
    }
    log = home / "run.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "xiaohui", "run", cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield await _announced(process, log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), STOP_S)


async def _announced(process: asyncio.subprocess.Process, log: Path) -> str:
    for _ in range(READY_S * 5):
        found = next((word for word in _said(log).split() if word.endswith("/sandbox/")), None)
        if found:
            return found
        if process.returncode is not None:
            break
        await asyncio.sleep(0.2)
    raise AssertionError(f"the product did not start:\n{_said(log)[-1500:]}")


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        await chromium.close()


class Control:
    """The sandbox's control API, for what a test arranges or checks beside the page."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session, self._address = session, address

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON answer; fails on anything but 2xx."""
        async with self._session.request(method, f"{self._address}control/{path}", json=body) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def platform(self, path: str, body: dict[str, Any], *, bearer: str = "") -> Any:
        """What a platform answers when somebody uses its API as the product does."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with self._session.post(f"{self._address}platform/{path}", json=body, headers=headers) as answer:
            return await answer.json(content_type=None)

    async def newcomer(self) -> str:
        """Somebody who was never here; their id."""
        phone = f"+8613{secrets.randbelow(10**9):09d}"
        person = await self.call("POST", "people", {"name": f"客{secrets.token_hex(2)}", "phone": phone})
        return str(person["id"])


@pytest.fixture
async def control(address: str) -> AsyncIterator[Control]:
    """Control over the sandbox; faults are off again afterwards."""
    async with aiohttp.ClientSession() as session:
        control = Control(session, address)
        yield control
        await control.call("DELETE", "faults")


@pytest.fixture
async def visit(browser: Browser, address: str, control: Control) -> AsyncIterator[Visit]:
    """Opens the page as somebody new; afterwards no error was logged and nothing outside was asked for."""
    contexts: list[Any] = []
    troubles: list[str] = []

    async def open_page(*, width: int = 1440, height: int = 900, member: str = "", **options: Any) -> Page:
        member = member or await control.newcomer()
        context = await browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        chosen = json.dumps({"member": member, "staff": "zhang"})
        key = "'xiaohui.sandbox.people'"
        await context.add_init_script(f"localStorage.getItem({key}) ?? localStorage.setItem({key}, '{chosen}')")
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on("console", lambda said: troubles.append(said.text) if _is_trouble(said.type, said.text) else None)
        page.on("request", lambda request: _check_host(request.url, address, troubles))
        await page.goto(address)
        await page.wait_for_selector("#phone-oa")
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert troubles == []


def _is_trouble(kind: str, text: str) -> bool:
    # A refused API call (409 for a second check-in) is logged by the browser itself and is no fault of the page.
    return kind in {"error", "warning"} and "Failed to load resource" not in text


def _check_host(url: str, address: str, troubles: list[str]) -> None:
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and parts.netloc != urlsplit(address).netloc:
        troubles.append(f"asked another host: {url}")
