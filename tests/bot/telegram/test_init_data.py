import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bot.telegram import init_data
from bot.telegram.init_data import InitDataReason, InitDataRefused

TOKEN = "42:TEST"
NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)


def signed(fields: dict[str, str], token: str = TOKEN) -> str:
    import hashlib
    import hmac

    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    lines = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()))
    return urlencode({**fields, "hash": hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()})


def genuine(**changes: str) -> dict[str, str]:
    user = json.dumps({"id": 42, "first_name": "小明 😀 +&=", "language_code": "zh-hans"}, ensure_ascii=False)
    return {"auth_date": str(int(NOW.timestamp()) - 60), "query_id": "AAH", "user": user, **changes}


def reason_of(raw: str, **how: object) -> InitDataReason:
    with pytest.raises(InitDataRefused) as refused:
        init_data.verify_init_data(raw, bot_token=TOKEN, now=NOW, **how)  # type: ignore[arg-type]
    return refused.value.reason


def test_genuine_init_data_names_its_person() -> None:
    proof = init_data.verify_init_data(signed(genuine(start_param="ref_42")), bot_token=TOKEN, now=NOW)
    assert (proof.person.id, proof.person.first_name) == (42, "小明 😀 +&=")
    assert proof.start_param == "ref_42"
    assert proof.auth_date == NOW - timedelta(seconds=60)


def test_newer_signature_field_stays_part_of_the_hash() -> None:
    proof = init_data.verify_init_data(signed(genuine(signature="zzz")), bot_token=TOKEN, now=NOW)
    assert proof.fields["signature"] == "zzz"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"auth_date": "1"}, InitDataReason.EXPIRED),
        ({"auth_date": str(int(NOW.timestamp()) - 86_401)}, InitDataReason.EXPIRED),
        ({"auth_date": str(int(NOW.timestamp()) + 3_600)}, InitDataReason.NOT_YET_VALID),
        ({"auth_date": "1e9"}, InitDataReason.MALFORMED),
        ({"auth_date": "٣"}, InitDataReason.MALFORMED),
        ({"auth_date": "9" * 30}, InitDataReason.MALFORMED),
        ({"user": '{"id":"42"}'}, InitDataReason.NO_USER),
        ({"user": '{"id":true}'}, InitDataReason.NO_USER),
        ({"user": '{"id":-1}'}, InitDataReason.NO_USER),
        ({"user": "[" * 2000}, InitDataReason.NO_USER),
        ({"user": ""}, InitDataReason.NO_USER),
    ],
)
def test_signed_but_unusable_proofs_are_refused(changes: dict[str, str], reason: InitDataReason) -> None:
    assert reason_of(signed(genuine(**changes))) is reason


def test_age_limit_can_be_tighter_for_money() -> None:
    assert reason_of(signed(genuine()), max_age=timedelta(seconds=30)) is InitDataReason.EXPIRED


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw + "&user=%7B%22id%22%3A1%7D",
        lambda raw: raw + "&hash=" + "0" * 64,
        lambda raw: raw[:-1],
        lambda raw: raw.replace("hash=", "hash=%C3%A9"),
        lambda raw: raw.replace("AAH", "AAI"),
        lambda raw: raw.replace("42", "43"),
        lambda raw: raw.partition("&hash=")[0],
        lambda raw: raw + "&" + "&".join(f"a{i}=1" for i in range(100)),
        lambda raw: raw + "&pad=" + "x" * 9000,
        lambda raw: raw + "&bad=%ff",
        lambda _raw: "",
    ],
)
def test_anything_changed_after_signing_is_refused(spoil: Callable[[str], str]) -> None:
    assert reason_of(spoil(signed(genuine()))) in {
        InitDataReason.FORGED,
        InitDataReason.MALFORMED,
        InitDataReason.UNSIGNED,
    }


def test_an_empty_bot_token_verifies_nothing() -> None:
    with pytest.raises(InitDataRefused):
        init_data.verify_init_data(signed(genuine(), token=""), bot_token="", now=NOW)


@given(st.text(max_size=200))
def test_arbitrary_text_is_refused_and_nothing_else(raw: str) -> None:
    with pytest.raises(InitDataRefused):
        init_data.verify_init_data(raw, bot_token=TOKEN, now=NOW)


def ed25519_signed(fields: dict[str, str], key: Ed25519PrivateKey, bot_id: int) -> str:
    from base64 import urlsafe_b64encode

    lines = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()))
    signature = key.sign(f"{bot_id}:WebAppData\n{lines}".encode())
    return urlencode({**fields, "signature": urlsafe_b64encode(signature).decode().rstrip("="), "hash": "0" * 64})


def test_telegrams_own_signature_needs_no_bot_token() -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    raw = ed25519_signed(genuine(), key, 42)
    proof = init_data.verify_init_data_signature(raw, bot_id=42, now=NOW, public_key=public)
    assert proof.person.id == 42
    for bot_id, trusted in ((43, public), (42, init_data.PRODUCTION_KEY)):
        with pytest.raises(InitDataRefused) as refused:
            init_data.verify_init_data_signature(raw, bot_id=bot_id, now=NOW, public_key=trusted)
        assert refused.value.reason is InitDataReason.FORGED


@pytest.mark.parametrize("signature", ["", "é", "A", "AAAA", "=" * 80])
def test_unreadable_signatures_are_refused(signature: str) -> None:
    raw = urlencode(genuine(signature=signature))
    with pytest.raises(InitDataRefused):
        init_data.verify_init_data_signature(raw, bot_id=42, now=NOW)


@pytest.mark.outside
def test_published_init_data_vectors(outside: Path) -> None:
    for case in json.loads((outside / "protocol/telegram/vectors_initdata.json").read_text()):
        try:
            fields = init_data.parse_fields(case["init_data"])
            held = init_data.hash_holds(fields, init_data.secret_key(case["token"]))
        except InitDataRefused:
            held = False
        assert held is case["valid_hash"], case


@pytest.mark.outside
def test_published_ed25519_vector(outside: Path) -> None:
    cases = json.loads((outside / "protocol/telegram/vectors_initdata.json").read_text())
    (case,) = [case for case in cases if "ed25519_valid_against" in case]
    at = datetime.fromtimestamp(case["auth_date"], tz=UTC)
    proof = init_data.verify_init_data_signature(case["init_data"], bot_id=7342037359, now=at)
    assert proof.person.id == 279058397
    with pytest.raises(InitDataRefused):
        init_data.verify_init_data_signature(
            case["init_data"], bot_id=7342037359, now=at, public_key=init_data.TEST_KEY
        )


@pytest.mark.outside
def test_published_secret_keys(outside: Path) -> None:
    import hmac

    for case in json.loads((outside / "protocol/telegram/vectors_secret_key.json").read_text()):
        key = init_data.secret_key(case["token"])
        if "secret_key_hex" in case:
            assert key.hex() == case["secret_key_hex"]
        else:
            assert hmac.digest(key, case["data"].encode(), "sha256").hex() == case["hash_hex"]


@pytest.mark.outside
def test_published_unknown_fields_survive(outside: Path) -> None:
    case = json.loads((outside / "protocol/telegram/vectors_initdata_parse_only.json").read_text())
    fields = init_data.parse_fields(case["init_data"])
    assert fields["additional_prop"] == case["expect"]["additional_prop"]
    assert fields["auth_date"] == str(case["expect"]["auth_date"])


@pytest.mark.outside
def test_published_login_widget_vector(outside: Path) -> None:
    case = json.loads((outside / "protocol/telegram/vectors_login_widget.json").read_text())
    at = datetime.fromtimestamp(int(case["data"]["auth_date"]), tz=UTC)
    known = init_data.verify_login_widget(case["data"], bot_token=case["token"], now=at)
    assert (known.id, known.username) == (42, "username")
    with pytest.raises(InitDataRefused):
        init_data.verify_login_widget({**case["data"], "id": "43"}, bot_token=case["token"], now=at)
    with pytest.raises(InitDataRefused):
        init_data.verify_login_widget(case["data"], bot_token=case["token"], now=at + timedelta(days=2))


@pytest.mark.outside
def test_hostile_init_data(outside: Path) -> None:
    for case in json.loads((outside / "protocol/telegram/own_initdata.json").read_text()):
        now = datetime.fromtimestamp(case["now"], tz=UTC)
        try:
            init_data.verify_init_data(case["init_data"], bot_token=case["token"], now=now)
            accepted = True
        except InitDataRefused:
            accepted = False
        assert accepted is case["valid"], case.get("why")
