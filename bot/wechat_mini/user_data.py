"""What the client hands over sealed by WeChat: `encryptedData` of old base libraries, and signed raw data.

Both rest on the session key of the last `wx.login`; with an older one they do not open.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bot.channel import Forged, Malformed
from bot.strict_json import Json, parse_object
from bot.wx_crypto import same_text

_BLOCK: Final = 16


def open_user_data(encrypted: str, *, iv: str, session_key: str, app_id: str) -> Mapping[str, Json]:
    """The JSON inside `encryptedData`, whose watermark names our app.

    Raises:
        Malformed: not base64, or not whole blocks.
        Forged: sealed with another session key (ask the person to log in again), or for another app.
    """
    try:
        key, vector, sealed = (base64.b64decode(part, validate=True) for part in (session_key, iv, encrypted))
    except ValueError as error:
        raise Malformed("not base64") from error
    if len(key) != _BLOCK or len(vector) != _BLOCK or not sealed or len(sealed) % _BLOCK:
        raise Malformed("not whole blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    plain = decryptor.update(sealed) + decryptor.finalize()
    pad = plain[-1]
    if not 1 <= pad <= _BLOCK or plain[-pad:] != bytes((pad,)) * pad:
        raise Forged("sealed with another session key")
    try:
        fields = parse_object(plain[:-pad])
    except Malformed as error:
        raise Forged("sealed with another session key") from error
    watermark = fields.get("watermark")
    if not isinstance(watermark, Mapping) or watermark.get("appid") != app_id:
        raise Forged("sealed for another app")
    return fields


def is_signed(raw_data: str, signature: str, session_key: str) -> bool:
    """Whether `raw_data` of `wx.getUserInfo` is what WeChat handed to the client."""
    expected = hashlib.sha1((raw_data + session_key).encode(), usedforsecurity=False).hexdigest()
    return same_text(expected, signature)
