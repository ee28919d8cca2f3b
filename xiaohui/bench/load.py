"""A load generator in its own process: keep-alive connections, prepared requests, one at a time each.

Run as `python -m xiaohui.bench.load --port P --requests FILE --connections N --seconds S`; prints JSON.
It is a bare protocol because it shares the machine's cores with what it measures.
"""

import argparse
import asyncio
import json
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Final, cast

import uvloop

_LENGTH: Final = struct.Struct(">I")
_HEAD_END: Final = b"\r\n\r\n"
OVERTIME_S: Final = 10.0
"""How long after the end a connection may still wait for its last answer; then it counts as failed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run saw; latencies in milliseconds. `exhausted` when prepared requests ran out before time.

    `cpu_us` and `database_cpu_us` are the processor time per request of the measured processes and of their
    sessions in PostgreSQL; None where the machine does not tell.
    """

    requests: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    statuses: dict[str, int]
    failed: int
    exhausted: bool
    cpu_us: float | None = None
    database_cpu_us: float | None = None


def write_requests(path: Path, requests: Sequence[bytes]) -> None:
    """Keep prepared HTTP/1.1 requests for a run."""
    path.write_bytes(b"".join(_LENGTH.pack(len(request)) + request for request in requests))


def read_requests(path: Path) -> list[bytes]:
    """The requests that `write_requests` kept."""
    blob, at, found = path.read_bytes(), 0, []
    while at < len(blob):
        (length,) = _LENGTH.unpack_from(blob, at)
        found.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    return found


class _Run:
    """Shared by the connections of one run."""

    def __init__(self, requests: Iterator[bytes], ends_at: float) -> None:
        self.requests = requests
        self.ends_at = ends_at
        self.latencies: list[float] = []
        self.statuses: dict[str, int] = {}
        self.failed = 0
        self.exhausted = False

    def next(self) -> bytes | None:
        """The next request, or None when time or requests are over."""
        if time.perf_counter() >= self.ends_at:
            return None
        request = next(self.requests, None)
        self.exhausted = self.exhausted or request is None
        return request


class _Connection(asyncio.Protocol):
    """Sends a request, waits for its whole answer, sends the next."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(_HEAD_END)
        if head_end < 0:
            return
        length = _content_length(self._buffer[:head_end])
        if len(self._buffer) - head_end - 4 < length:
            return
        self._run.latencies.append(time.perf_counter() - self._sent_at)
        status = self._buffer[9:12].decode("ascii", "replace")
        self._run.statuses[status] = self._run.statuses.get(status, 0) + 1
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sent_at and exc is not None:
            self._run.failed += 1
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self) -> None:
        transport = cast("asyncio.Transport", self._transport)
        request = self._run.next()
        if request is None:
            self._sent_at = 0.0
            transport.close()
            return
        self._sent_at = time.perf_counter()
        transport.write(request)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


async def run(
    host: str, port: int, requests: Sequence[bytes], *, connections: int, seconds: float, repeat: bool
) -> Report:
    """Drive `requests` over `connections` for `seconds`; `repeat` starts over when they run out."""
    started = time.perf_counter()
    shared = _Run(cycle(requests) if repeat else iter(requests), started + seconds)
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: _Connection(shared), host, port) for _ in range(connections)]
    _, waiting = await asyncio.wait([connection.closed for _, connection in opened], timeout=seconds + OVERTIME_S)
    shared.failed += len(waiting)
    return _report(shared, time.perf_counter() - started)


def _report(shared: _Run, seconds: float) -> Report:
    ordered = sorted(shared.latencies) or [0.0]

    def quantile(q: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * q))] * 1000, 2)

    return Report(
        requests=len(shared.latencies),
        seconds=round(seconds, 3),
        per_second=round(len(shared.latencies) / seconds, 1),
        p50_ms=quantile(0.5),
        p99_ms=quantile(0.99),
        max_ms=round(ordered[-1] * 1000, 2),
        statuses=shared.statuses,
        failed=shared.failed,
        exhausted=shared.exhausted,
    )


def main() -> None:
    """The command line of the generator's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeat", action="store_true")
    asked = parser.parse_args()
    report = uvloop.run(
        run(
            asked.host,
            asked.port,
            read_requests(asked.requests),
            connections=asked.connections,
            seconds=asked.seconds,
            repeat=asked.repeat,
        )
    )
    json.dump(asdict(report), sys.stdout)


if __name__ == "__main__":
    main()
