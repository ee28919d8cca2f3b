"""Purposes for which personal data is used, and the version of the words that members agree to. Pure.

A new version of a purpose's words asks again: an answer to older words does not cover it (PIPL art. 14).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from loyalty.errors import Invalid

# 网络数据安全管理条例 art. 22(5): nobody is asked again and again after saying no.
ASK_AGAIN_AFTER: Final = timedelta(days=90)


class UnknownPurpose(Invalid):
    """There is no such purpose."""

    code = "consent.unknown_purpose"


@dataclass(frozen=True, slots=True)
class Purpose:
    """`text_version` counts up whenever the words in `templates/` change their meaning; `by_default` purposes
    rest on the membership contract or on a right to object, all others need an answer first."""

    code: str
    text_version: int = 1
    by_default: bool = False


PURPOSES: Final[Mapping[str, Purpose]] = {
    purpose.code: purpose
    for purpose in (
        Purpose("account", by_default=True),
        Purpose("transaction", by_default=True),
        Purpose("profiling", by_default=True),
        Purpose("marketing_wechat"),
        Purpose("marketing_wecom"),
        Purpose("marketing_telegram"),
        Purpose("marketing_sms"),
        Purpose("third_party"),
        Purpose("cross_border"),
        Purpose("location"),
        Purpose("minors_guardian"),
    )
}
PROFILING: Final = "profiling"
# What a member can switch themselves; the account ends by closing it, a guardian answers for a minor in person.
SWITCHABLE: Final = tuple(code for code in PURPOSES if code not in {"account", "minors_guardian"})


def purpose(code: str) -> Purpose:
    """The purpose called `code`.

    Raises:
        UnknownPurpose: there is none.
    """
    try:
        return PURPOSES[code]
    except KeyError:
        raise UnknownPurpose(purpose=code[:32]) from None


def marketing_purpose(channel: str) -> str:
    """The purpose that covers marketing through a channel: 公众号 and mini-program are both WeChat."""
    return {"wechat_oa": "marketing_wechat", "wechat_mini": "marketing_wechat"}.get(channel, f"marketing_{channel}")
