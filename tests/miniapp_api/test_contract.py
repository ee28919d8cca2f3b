"""The committed contract is the code's contract, and complete."""

import json
import re
from pathlib import Path

from miniapp_api import endpoints
from miniapp_api.contract import CONTRACT_PATH, document, refusals_of, render
from miniapp_api.endpoint import Repeat
from miniapp_api.endpoints import ENDPOINTS
from tests.miniapp_api.people import Api

FOLDER = Path(endpoints.__file__).parent
NO_ROWS = {"__init__", "paging", "counter"}


def test_the_committed_contract_is_current() -> None:
    assert CONTRACT_PATH.read_text(encoding="utf-8") == render(), "run python -m miniapp_api.contract"


def test_every_file_of_endpoints_is_registered() -> None:
    for file in FOLDER.glob("*.py"):
        if file.stem not in NO_ROWS:
            assert set(getattr(endpoints, file.stem).ENDPOINTS) <= set(ENDPOINTS), file.stem


def test_names_and_addresses_are_unique() -> None:
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)
    assert len({(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}) == len(ENDPOINTS)


def test_every_reference_of_the_contract_resolves() -> None:
    contract = document()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(contract)):
        part = contract
        for step in reference.split("/"):
            part = part[step]


def test_every_endpoint_speaks_both_languages_and_names_its_refusals() -> None:
    for endpoint in ENDPOINTS:
        assert endpoint.summary.en.isascii()
        assert not endpoint.summary.zh.isascii()
        assert refusals_of(endpoint)


def test_every_write_of_the_contract_asks_for_a_key() -> None:
    contract = document()
    for endpoint in ENDPOINTS:
        parameters = contract["paths"][endpoint.path][endpoint.method.lower()]["parameters"]
        asks = any(parameter["name"] == "Idempotency-Key" for parameter in parameters)
        assert asks is (endpoint.repeat is Repeat.KEYED), endpoint.name


async def test_contract_and_page_are_served_without_anything_from_elsewhere(api: Api) -> None:
    async with api.client.get("/openapi.json") as response:
        assert (await response.json())["openapi"] == "3.1.0"
    async with api.client.get("/docs") as response:
        page = await response.text()
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "http://" not in page
    assert "https://" not in page
    for path in re.findall(r'(?:href|src)="(/docs/[^"]+)"', page):
        async with api.client.get(path) as response:
            assert response.status == 200, path
