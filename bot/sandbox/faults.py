"""Things that go wrong on purpose."""

from fnmatch import fnmatchcase

from bot.sandbox.world import Fault, World

CALLBACK_KINDS = frozenset({"slow", "reset", "drop_answer", "duplicate", "reorder"})
CALL_KINDS = frozenset({"slow", "http", "reset", "drop_answer", "errcode", "quota", "token_revoked"})
PLATFORMS = frozenset({"wechat", "wecom", "telegram", "sms", "wechat_pay", "*"})


class Faults:
    """The faults that are switched on."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add(self, platform: str, api: str, kind: str, value: int, times: int | None) -> Fault:
        """Switch one on. Raises ValueError for a combination that can never happen."""
        allowed = CALLBACK_KINDS if api == "callback" else CALL_KINDS
        if platform not in PLATFORMS:
            raise ValueError(f"platform must be one of {', '.join(sorted(PLATFORMS))}")
        if kind not in allowed:
            raise ValueError(f"kind must be one of {', '.join(sorted(allowed))} here")
        if kind == "http" and not 400 <= value <= 599:
            raise ValueError("value must be an HTTP status from 400 to 599")
        if times is not None and times < 1:
            raise ValueError("times must be at least 1")
        fault = Fault(f"f{self._world.next('fault')}", platform, api, kind, value, times)
        self._world.faults[fault.id] = fault
        return fault

    def remove(self, fault_id: str) -> bool:
        """Switch one off; False when it is not on."""
        return self._world.faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Switch all off."""
        self._world.faults.clear()

    def take(self, platform: str, api: str, kind: str) -> Fault | None:
        """The first fault of this kind that applies, using it up once."""
        for fault in list(self._world.faults.values()):
            if fault.kind == kind and self._applies(fault, platform, api):
                self._use(fault)
                return fault
        return None

    @staticmethod
    def _applies(fault: Fault, platform: str, api: str) -> bool:
        if fault.platform not in (platform, "*"):
            return False
        if (fault.api == "callback") != (api == "callback"):
            return False
        return fnmatchcase(api, fault.api)

    def _use(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times == 0:
            self.remove(fault.id)
