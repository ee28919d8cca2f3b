"""WeChat's codes in terms of what to do next."""

from datetime import UTC, datetime

import pytest

from bot.channel import RejectReason
from bot.wx_errors import ALREADY_DONE, LOGIN_CODE_CODES, REASONS, TOKEN_CODES, rejection

NOON_IN_BEIJING = datetime(2026, 11, 1, 4, tzinfo=UTC)

CLASSES = {
    RejectReason.RATE: (-1, 45011, 43108, 45066),
    RejectReason.CONFIGURATION: (40013, 40125, 40164, 41002, 41004, 48001, 48004, 50002, 61004, 61007, 89503),
    RejectReason.QUOTA: (45009,),
    RejectReason.BLOCKED: (43004, 43019, 48002, 50005, 40003),
    RejectReason.NO_GRANT: (43101,),
    RejectReason.NO_WINDOW: (45015, 45047),
    RejectReason.CONTENT: (47001, 47003, 40037, 41030, 45002, 45168, 87014, 40007, 40033, 99999999),
}


@pytest.mark.parametrize(("reason", "code"), [(reason, code) for reason, codes in CLASSES.items() for code in codes])
def test_each_code_has_its_class(reason: RejectReason, code: int) -> None:
    assert rejection(code, "", now=NOON_IN_BEIJING).reason is reason


def test_only_what_time_can_heal_is_tried_again() -> None:
    for code, reason in REASONS.items():
        retried = rejection(code, "", now=NOON_IN_BEIJING).retry_after_s is not None
        assert retried == (reason in (RejectReason.RATE, RejectReason.QUOTA)), code


def test_a_daily_quota_is_filled_at_midnight_in_beijing_and_a_minute_one_in_a_minute() -> None:
    assert rejection(45009, "", now=NOON_IN_BEIJING).retry_after_s == 12 * 3600
    assert rejection(45009, "", now=NOON_IN_BEIJING, quota_by_minute=True).retry_after_s == 60


def test_codes_with_a_way_of_their_own_do_not_overlap() -> None:
    assert not TOKEN_CODES & LOGIN_CODE_CODES
    assert not ALREADY_DONE & REASONS.keys()
    assert REASONS.keys() >= TOKEN_CODES | LOGIN_CODE_CODES


def test_a_long_detail_is_cut() -> None:
    assert len(rejection(47003, "x" * 5000, now=NOON_IN_BEIJING).detail) == 200
