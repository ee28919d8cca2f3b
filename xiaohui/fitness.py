"""Whether the connected database is one that this version and this secret can work with."""

from loyalty import schema
from loyalty.config import ConfigError
from loyalty.members import queries as members


async def refuse_older_schema() -> None:
    """Refuse to go on with tables that are not there.

    Raises:
        ConfigError: migrations are missing.
    """
    missing = await schema.missing()
    if missing:
        raise ConfigError(f"the database lacks {', '.join(missing)}: run `xiaohui migrate` first")


async def refuse_other_secret() -> None:
    """Refuse to go on with a secret that does not open what the database holds.

    Raises:
        ConfigError: the data was sealed with another secret.
    """
    if not await members.data_opens():
        raise ConfigError(
            "XIAOHUI_SECRET: the data in this database was sealed with another secret; set the one it was written with"
        )
