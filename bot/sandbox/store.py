"""The world on disk: one JSON snapshot, replaced atomically, so a kill at any moment leaves the last whole one."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bot.sandbox.world import World

SAVE_EVERY_S = 1.0
BUSY_SHARE = 30
"""A world that takes long to write is written less often: at most a thirtieth of the time."""
log = logging.getLogger(__name__)
snapshot_format = TypeAdapter(World)


class Store:
    """Keeps a world in `folder/world.json`; with no folder it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.path = folder / "world.json" if folder else None
        self._written = b""

    def load(self) -> World:
        """The kept world, or a new one. An unreadable snapshot is put aside as `world.json.unreadable`."""
        if self.path is None or not self.path.exists():
            return World()
        self._written = self.path.read_bytes()
        try:
            return snapshot_format.validate_json(self._written)
        except ValidationError:
            aside = self.path.with_suffix(".json.unreadable")
            self.path.replace(aside)
            log.warning("the sandbox snapshot could not be read and was kept as %s", aside)
            return World()

    async def save(self, world: World) -> None:
        """Write the world if it changed since the last write."""
        if self.path is None:
            return
        content = snapshot_format.dump_json(world)
        if content != self._written:
            await asyncio.to_thread(replace_file, self.path, content)
            self._written = content

    @contextlib.asynccontextmanager
    async def keeping(self, world: World) -> AsyncIterator[None]:
        """Save regularly while the block runs, and once more when it ends."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._save_until(stop, world))
        try:
            yield
        finally:
            # Not cancelled: a write that has begun in its thread must end before the last one starts.
            stop.set()
            await task
            await self.save(world)

    async def _save_until(self, stop: asyncio.Event, world: World) -> None:
        pause = SAVE_EVERY_S
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()
            began = time.monotonic()
            try:
                await self.save(world)
            except OSError as error:
                log.warning("the sandbox snapshot could not be written: %s", error)
            pause = max(SAVE_EVERY_S, BUSY_SHARE * (time.monotonic() - began))


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` beside `path` and rename it over, both durably enough to survive a killed process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".json.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
