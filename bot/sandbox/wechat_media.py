"""Temporary media and QR codes with a scene."""

import base64
import io
from typing import Any

import segno

from bot.sandbox.doors import Reply
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage
from bot.sandbox.wechat_door import Api, WechatCall
from bot.sandbox.wechat_state import SceneCode
from bot.sandbox.world import MEDIA_KEPT, Media, opaque

MEDIA_LIFETIME_S = 3 * 86_400
QR_LONGEST_S = 2_592_000
QR_DEFAULT_S = 60
KINDS = frozenset({"image", "voice", "video", "thumb", "file"})
TEMPORARY = frozenset({"QR_SCENE", "QR_STR_SCENE"})
PERMANENT = frozenset({"QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE"})


def keep_media(stage: Stage, kind: str, content_type: str, content: bytes) -> Media:
    """Store a file for three days; the oldest make room."""
    media = Media(
        opaque(64), kind, content_type, base64.b64encode(content).decode(), stage.clock.world() + MEDIA_LIFETIME_S
    )
    kept = stage.world.media
    kept[media.media_id] = media
    for old in list(kept)[:-MEDIA_KEPT]:
        del kept[old]
    return media


def upload(call: WechatCall) -> dict[str, Any]:
    """Temporary media from a multipart form."""
    kind = call.query.get("type", "")
    if kind not in KINDS:
        raise PlatformError(40004, "invalid media type")
    file = next(iter(call.uploads), None)
    if file is None:
        raise PlatformError(41005, "media data missing")
    media = keep_media(call.stage, kind, file.content_type, file.content)
    return {"type": kind, "media_id": media.media_id, "created_at": int(call.stage.clock.wire())}


def download(call: WechatCall) -> Reply:
    """The bytes of temporary media."""
    media = call.stage.world.media.get(call.query.get("media_id", ""))
    if media is None or media.expires_at <= call.now:
        raise PlatformError(40007, "invalid media_id")
    return Reply(content=base64.b64decode(media.content), content_type=media.content_type)


def qr_png(text: str) -> bytes:
    """A QR code as PNG."""
    file = io.BytesIO()
    segno.make(text, error="m").save(file, kind="png", scale=6, border=2)
    return file.getvalue()


def create_qr(call: WechatCall) -> dict[str, Any]:
    """A QR code that carries a scene into subscribe and SCAN events."""
    action = call.body.get("action_name")
    if action not in TEMPORARY | PERMANENT:
        raise PlatformError(40052, "invalid action name")
    scene = _scene(str(action), call.body.get("action_info"))
    seconds = int(call.body.get("expire_seconds") or QR_DEFAULT_S)
    if action in TEMPORARY and not 1 <= seconds <= QR_LONGEST_S:
        raise PlatformError(40053, "invalid expire_seconds")
    ticket = opaque(96, "gQ")
    expires_at = call.now + seconds if action in TEMPORARY else 0.0
    url = f"http://weixin.qq.com/q/{opaque(22)}"
    call.state.scenes[ticket] = SceneCode(ticket, scene, expires_at, url)
    answer: dict[str, Any] = {"ticket": ticket, "url": url}
    return {**answer, "expire_seconds": seconds} if action in TEMPORARY else answer


def _scene(action: str, info: Any) -> str:
    scene = info.get("scene") if isinstance(info, dict) else None
    if not isinstance(scene, dict):
        raise PlatformError(40053, "invalid action info")
    if action.endswith("STR_SCENE"):
        text = str(scene.get("scene_str") or "")
        if not 1 <= len(text) <= 64:
            raise PlatformError(40053, "invalid action info")
        return text
    number = scene.get("scene_id")
    highest = 100_000 if action == "QR_LIMIT_SCENE" else 2**32 - 1
    if not isinstance(number, int) or not 1 <= number <= highest:
        raise PlatformError(40053, "invalid action info")
    return str(number)


def find_scene(stage: Stage, ticket: str) -> SceneCode | None:
    """A scene code by its ticket or its address, whichever account made it."""
    for account in stage.config.wechat:
        for code in stage.wechat(account.key).scenes.values():
            if ticket in (code.ticket, code.url):
                return code
    return None


APIS: dict[str, Api] = {
    "/cgi-bin/media/upload": Api("POST", upload, body="multipart"),
    "/cgi-bin/media/get": Api("GET", download),
    "/cgi-bin/qrcode/create": Api("POST", create_qr, channel="wechat_oa"),
}
