"""For `python -m tortoise -c tools.tortoise_orm.CONFIG makemigrations`, which compares models and never connects."""

from typing import Final

from loyalty.db import tortoise_config

CONFIG: Final = tortoise_config("postgres://nobody@127.0.0.1:1/none")
