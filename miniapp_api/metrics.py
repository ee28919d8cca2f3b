"""What this process counts for Prometheus; label values are ours and few, never what a caller sent."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

HTTP_SECONDS: Final = Histogram(
    "http_request_seconds",
    "Time to answer an API request, by operation.",
    ("operation", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
REPLAYED: Final = Counter("idempotent_replay_total", "Requests answered with a stored answer.", ("operation",))
AUTH_FAILED: Final = Counter("auth_failed_total", "Requests whose caller was not accepted.", ("reason",))
REFUSED: Final = Counter("refusal_total", "Requests refused, by stable code.", ("operation", "code"))
COUPON_CLAIMS: Final = Counter("coupon_claim_total", "Coupon claims over HTTP, by result.", ("result",))
LOOP_LAG: Final = Gauge("event_loop_lag_seconds", "How late the event loop wakes up a timer.")
