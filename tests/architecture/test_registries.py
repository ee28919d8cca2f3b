"""Whoever adds a thing adds its row, its test and its words: forgetting one is a red test that names what lacks.

Words of refusals are held in tests/templates/test_words.py, papers of channels in tests/bot/test_conformance.py,
endpoints against every kind of caller in tests/miniapp_api/test_access.py.
"""

import ast
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from bot.registry import CHANNELS
from loyalty import db, events
from miniapp_api.endpoints import ENDPOINTS
from scheduler.duties import DUTIES
from tests.architecture.sources import PRODUCT, ROOT, sources
from tests.bot.sides import SIDES

LOCALES: Final = ("zh-CN", "en")
RECORDED_LATER: Final[dict[str, str]] = {}
WORDS_ELSEWHERE: Final[dict[str, str]] = {
    "phone_code": "an SMS says what the provider approved; bot/sms/README.md",
}
TESTED_ELSEWHERE: Final[dict[str, str]] = {
    "loyalty/allowances": "tests/loyalty/deductions and staff_refunds: the day that splitting does not get around",
    "loyalty/approvals": "tests/loyalty/points: an approval exists for a grant above the limit",
    "loyalty/attempts": "tests/loyalty/redemptions and member_codes: wrong codes are counted there",
    "loyalty/decisions": "tests/loyalty/tier_overrides and tests/loyalty/points: both kinds are decided and closed",
    "loyalty/check_ins": "tests/handlers and tests/miniapp_api: both doors to the verb",
    "loyalty/counter": "tests/miniapp_api/test_counter.py",
    "loyalty/fsck": "tests/loyalty/ledger asks every invariant after every posting",
    "loyalty/inbox": "tests/miniapp_api/test_idempotency.py and tests/handlers",
    "loyalty/outbox": "tests/bot/test_outbound.py and tests/scheduler",
    "loyalty/program": "every test works under published terms",
    "loyalty/rounds": "tests/scheduler",
    "loyalty/spine": "tests/scheduler, and every slice's tests read the events they caused",
    "loyalty/adoptions": "tests/loyalty/merges/test_afterwards.py",
    "loyalty/journeys": "tests/scheduler: journeys live on time passing",
    "loyalty/reach": "tests/bot/test_outbound.py: what a channel permits now",
}


def _made() -> set[str]:
    """What the domain and the sweeps over it make instances of, outside the page that declares events."""
    return {
        call.rpartition(".")[2]
        for source in sources("loyalty", "scheduler")
        if source.name != "loyalty/events.py"
        for _line, call in source.calls()
    }


def test_every_event_stands_in_the_table() -> None:
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert kinds - {events.Event} == set(events.EVENTS.values())
    assert set(events.EVENTS) >= events.SUBSCRIBED


def test_every_event_is_recorded() -> None:
    names = {kind.__name__ for kind in events.EVENTS.values()}
    assert names - _made() == set(RECORDED_LATER), "recorded nowhere, or recorded and still listed as missing"


def test_every_event_has_a_past_tense_name_of_its_own() -> None:
    for name, kind in events.EVENTS.items():
        noun, _dot, verb = name.partition(".")
        assert noun, kind
        assert any(word.endswith(("ed", "left", "spent", "undone", "drawn")) for word in verb.split("_")), (
            f"{name}: an event is a fact, it has happened"
        )


def test_every_table_belongs_to_a_listed_module() -> None:
    on_disk = {f"loyalty.{path.parent.name}.models" for path in (ROOT / "loyalty").glob("*/models.py")}
    assert on_disk == set(db.MODEL_MODULES)


def test_every_slice_is_tested() -> None:
    slices = {f"loyalty/{path.name}" for path in (ROOT / "loyalty").iterdir() if (path / "__init__.py").exists()}
    tested = {name for name in slices if any((ROOT / "tests" / name).glob("test_*.py"))}
    untested = slices - tested - {"loyalty/migrations"}
    assert untested <= set(TESTED_ELSEWHERE), "add tests, or say where they are"
    assert set(TESTED_ELSEWHERE) <= slices


def test_every_channel_is_complete() -> None:
    folders = {path.parent.name for path in (ROOT / "bot").glob("*/adapter.py")}
    assert folders == set(CHANNELS) == {side.name.partition("-")[0] for side in SIDES}
    for folder in folders:
        for needed in ("README.md", "quality.yaml", "codec.py", "client.py"):
            assert (ROOT / "bot" / folder / needed).is_file(), f"bot/{folder}/{needed}"
        assert (ROOT / "tests/bot" / folder / "test_adapter.py").is_file(), folder
        assert "2026-" in (ROOT / "bot" / folder / "README.md").read_text(), f"bot/{folder}: platform facts have a date"
    independent = (ROOT / "pyproject.toml").read_text().partition('type = "independence"')[2]
    assert all(f'"bot.{folder}"' in independent for folder in folders)


def test_every_file_of_endpoints_is_served() -> None:
    files = [path.stem for path in (ROOT / "miniapp_api/endpoints").glob("[!_]*.py")]
    rows = {name: getattr(import_module(f"miniapp_api.endpoints.{name}"), "ENDPOINTS", ()) for name in files}
    served = set(map(id, ENDPOINTS))
    assert [name for name, own in rows.items() if any(id(row) not in served for row in own)] == []
    assert sum(map(len, rows.values())) == len(ENDPOINTS)
    assert len({(row.method, row.path) for row in ENDPOINTS}) == len(ENDPOINTS)


def test_every_duty_has_a_name_of_its_own_and_comes_round() -> None:
    names = [duty.name for duty in DUTIES]
    assert len(set(names)) == len(names)
    assert all(duty.every.total_seconds() > 0 for duty in DUTIES)


def test_every_sweep_is_a_duty_and_tested() -> None:
    table = (ROOT / "scheduler/duties.py").read_text() + (ROOT / "scheduler/sweeps/__init__.py").read_text()
    tests = "".join(source.text for source in sources("tests/scheduler"))
    for path in (ROOT / "scheduler/sweeps").glob("[!_]*.py"):
        assert path.stem in table, f"scheduler/sweeps/{path.name} is no row of the table"
        assert path.stem in tests, f"scheduler/sweeps/{path.name} has no test"


def test_every_template_speaks_both_languages() -> None:
    for folder in (path for path in (ROOT / "templates").iterdir() if (path / LOCALES[0]).is_dir()):
        chinese, english = ({path.name for path in (folder / locale).iterdir()} for locale in LOCALES)
        assert chinese == english, folder.name


def test_every_notice_has_words() -> None:
    words = {path.stem for path in (ROOT / "templates/notices" / LOCALES[0]).glob("*.j2")}
    unspoken = sorted({(name, notice) for name, notice in _notices() if notice not in words | WORDS_ELSEWHERE.keys()})
    assert not unspoken, f"templates/notices/<locale>/ lacks {unspoken}"


def _notices() -> Iterator[tuple[str, str]]:
    for source in sources(*PRODUCT):
        constants = {
            target.id: node.value
            for node in source.tree.body
            if isinstance(node, ast.AnnAssign) and isinstance(target := node.target, ast.Name)
        }
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Notice":
                for value in (keyword.value for keyword in node.keywords if keyword.arg == "notice"):
                    named = constants.get(value.id) if isinstance(value, ast.Name) else value
                    if isinstance(named, ast.Constant):
                        yield source.name, str(named.value)
