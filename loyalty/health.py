"""Whether the database takes writes, asked without a table."""

from loyalty import db


async def probe_write() -> None:
    """Write one WAL record and commit it: a standby, a full disk or a read-only server refuses.

    Raises:
        the driver's error.
    """
    await db.fetch_value("SELECT pg_logical_emit_message(true, 'xiaohui', 'probe')")
