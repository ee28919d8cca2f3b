"""Refusals of the HTTP edge itself; those of the domain stand next to their verbs."""

from loyalty.errors import Invalid, NotFound, Refusal, Unauthenticated, Unavailable


class NotJson(Invalid):
    """The body is not a JSON object that every parser would read the same way."""

    code = "invalid.json"


class TooLarge(Invalid):
    """The body is longer than `limit_bytes`."""

    code = "invalid.too_large"


class WrongMediaType(Invalid):
    """The body is not sent as application/json."""

    code = "invalid.media_type"
    status = 415


class KeyMissing(Invalid):
    """A write came without a usable `Idempotency-Key`."""

    code = "invalid.idempotency_key"


class NoSuchPath(NotFound):
    """No endpoint has this address."""


class MethodNotAllowed(Refusal):
    """The address exists with other methods; `allowed` names them."""

    code = "method_not_allowed"
    status = 405


class LoginRefused(Unauthenticated):
    """The platform did not vouch for the login code."""

    code = "login.refused"


class SnapshotUser(LoginRefused):
    """WeChat's preview page (快照页) hands out throw-away openids, which must never become members."""

    code = "login.snapshot_user"


class StateMismatch(LoginRefused):
    """The OAuth answer does not belong to the browser that asked."""

    code = "login.state_mismatch"


class NotStaff(LoginRefused):
    """The WeCom user is no active member of staff."""

    code = "login.not_staff"


class CloseNotConfirmed(Invalid):
    """Closing an account needs its confirmation word."""

    code = "close.not_confirmed"


class SmsNotSent(Unavailable):
    """The SMS provider did not take the message."""

    code = "sms.not_sent"
