"""python-telegram-bot's request class on the process-wide aiohttp pool.

The library's own request class costs ten times the processor time (docs/decisions/0005-python-telegram-bot.md), and
its exceptions blur what matters to an outbox: whether the platform refused, and whether anything left at all.
"""

from collections.abc import Mapping
from typing import Final, NoReturn

import aiohttp
from telegram.error import TelegramError
from telegram.request import BaseRequest, RequestData

from bot.channel import Rejected, RejectReason, SendResult, Unknown
from bot.http import HttpAnswer, PlatformHttp, SendFailed
from bot.strict_json import Json
from bot.telegram.refusals import RETRY_AFTER_DEFAULT_S, meaning_of

TIMEOUT_S: Final = 10.0
_FIRST_ERROR: Final = 400


class NotAccepted(TelegramError):
    """The Bot API did not take the call; `result` says what that means."""

    def __init__(self, result: SendResult) -> None:
        super().__init__(type(result).__name__)
        self.result = result


class PlatformRequest(BaseRequest):
    """Sends what `telegram.Bot` builds through `PlatformHttp`."""

    def __init__(self, http: PlatformHttp) -> None:
        self._http = http

    @property
    def read_timeout(self) -> float:
        """Seconds until a call counts as unanswered."""
        return TIMEOUT_S

    async def initialize(self) -> None:
        """Nothing to open: the pool belongs to the process."""

    async def shutdown(self) -> None:
        """Nothing to close: the pool belongs to the process."""

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,
        connect_timeout: object = BaseRequest.DEFAULT_NONE,
        pool_timeout: object = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """One call of the Bot API.

        Raises:
            NotAccepted: refused, or no answer that says otherwise.
        """
        parameters = {} if request_data is None else request_data.parameters
        form = None if request_data is None else _form(request_data)
        try:
            answer = await self._http.request(
                method,
                url,
                json_body=parameters if form is None else None,
                data=form,
                timeout_s=TIMEOUT_S,
            )
        except SendFailed as failure:
            _raise_unanswered(failure)
        if answer.json is None or answer.json.get("ok") is not True:
            raise NotAccepted(_refusal(answer))
        return answer.status, answer.body


def _raise_unanswered(failure: SendFailed) -> NoReturn:
    if failure.unknown:
        raise NotAccepted(Unknown(failure.detail)) from failure
    raise NotAccepted(Rejected(RejectReason.RATE, "unreachable", failure.detail, RETRY_AFTER_DEFAULT_S)) from failure


def _refusal(answer: HttpAnswer) -> SendResult:
    if answer.json is None:
        return (
            meaning_of(answer.status, "", None)
            if answer.status >= _FIRST_ERROR
            else Unknown("not an answer of the Bot API")
        )
    code = answer.json.get("error_code")
    described = answer.json.get("description")
    return meaning_of(
        code if isinstance(code, int) else answer.status,
        described if isinstance(described, str) else "",
        _retry_after(answer.json.get("parameters")),
    )


def _retry_after(parameters: Json) -> float | None:
    seconds = parameters.get("retry_after") if isinstance(parameters, Mapping) else None
    return float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None


def _form(request_data: RequestData) -> aiohttp.FormData | None:
    if not request_data.contains_files:
        return None
    form = aiohttp.FormData(request_data.json_parameters)
    for name, part in request_data.multipart_data.items():
        filename, content, mime_type = part
        form.add_field(name, content, filename=filename, content_type=mime_type)
    return form
