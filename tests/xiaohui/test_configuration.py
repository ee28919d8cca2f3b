"""Every mistake in the file or the environment is one plain sentence that names the setting."""

import re
import sys
from pathlib import Path

import pytest

from loyalty import config
from loyalty.config import ConfigError, Settings
from xiaohui import accounts, cli
from xiaohui.operations import check_configuration

CHECKOUT = Path(__file__).resolve().parents[2]
# 43 characters whose last one has spare bits: a strict decoder would refuse it, the platforms do not.
SPARE_BITS = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
SECRET = "0123456789abcdef0123456789abcdef"
SECRETS_IN = re.compile(f"(database|redis)-password|{SECRET}|{SPARE_BITS}|app-secret-of|token-of|secret_of|wx01234")
PRODUCTION = {
    "XIAOHUI_ENVIRONMENT": "production",
    "XIAOHUI_SECRET": SECRET,
    "XIAOHUI_DATABASE_URL": "postgres://xiaohui:database-password@db:5432/xiaohui",
    "XIAOHUI_REDIS_URL": "redis://:redis-password@redis:6379/0",
}
OA = f"""
[[channel.wechat_oa]]
account = "main"
app_id = "wx0123456789abcdef"
app_secret = "app-secret-of-oa"
token = "token-of-oa"
encoding_aes_key = "{SPARE_BITS}"
"""
ISSUE = f"""
environment = "development"   # or "production": stricter, every secret required

[[channel.wechat_oa]]         # the same keys for channel.wechat_mini
account = "main"              # the last part of /hooks/wechat_oa/main; any number of accounts
app_id = "wx0123456789abcdef"
app_secret = "app-secret-of-oa"
token = "token-of-oa"
encoding_aes_key = "{SPARE_BITS}"
api_base = "https://api.weixin.qq.com"
callback_window_s = 300

[[channel.wechat_mini]]
account = "main"
app_id = "wxfedcba9876543210"
app_secret = "app-secret-of-mini"
token = "token-of-mini"
encoding_aes_key = "{SPARE_BITS}"
api_base = "https://api.weixin.qq.com"
callback_window_s = 300

[[channel.wecom]]
corp_id = "ww0123456789abcdef"
agent_id = 1000002
app_secret = "app-secret-of-wecom"
token = "token-of-wecom"
encoding_aes_key = "{SPARE_BITS}"
api_base = "https://qyapi.weixin.qq.com"
callback_window_s = 300

[[channel.telegram]]
bot_token = "1234567890:token-of-telegram"
webhook_secret = "secret_of_telegram"
api_base = "https://api.telegram.org"
"""


def read(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    """The settings, with every account read too."""
    file = tmp_path / "xiaohui.toml"
    file.write_text(text, encoding="utf-8")
    settings = config.load({"XIAOHUI_CONFIG": str(file), **environ})
    accounts.read(settings)
    return settings


def refusal(tmp_path: Path, text: str = "", **environ: str) -> str:
    """The sentence of a refusal: one line, without any secret."""
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text, **environ)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert not SECRETS_IN.search(sentence)
    return sentence


def test_the_issues_own_file_is_accepted_word_for_word(tmp_path: Path) -> None:
    found = accounts.read(read(tmp_path, ISSUE))
    assert [account.account for account in (*found.wechat_oa, *found.wechat_mini)] == ["main", "main"]
    assert [account.account for account in found.wecom] == ["main"]
    assert [account.account for account in found.telegram] == ["main"]
    assert found.wecom[0].agent_id == 1000002


def test_it_is_accepted_in_production_too(tmp_path: Path) -> None:
    text = ISSUE.replace('environment = "development"', 'environment = "production"')
    del (environ := dict(PRODUCTION))["XIAOHUI_ENVIRONMENT"]
    assert read(tmp_path, text, **environ).is_production


def test_every_last_character_of_an_aes_key_is_accepted(tmp_path: Path) -> None:
    for last in "AEIMQUYcgkosw048BZabz19+/":
        assert read(tmp_path, OA.replace(SPARE_BITS, SPARE_BITS[:-1] + last)) is not None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('environment = "staging"', "environment"),
        ("environment = 3", "environment: write text in quotes"),
        ("environmnet = 'production'", "environmnet: unknown setting"),
        ('channel = "wechat"', "channel: expected a table"),
        ("sms = 3", "sms: expected a table"),
        ('sandbox = "maybe"', "XIAOHUI_SANDBOX: write on or off"),
        ("sandbox = 1.5", "sandbox: write true or false"),
        ("pool_size = 0", "XIAOHUI_POOL_SIZE: 0 is not between 1 and 200"),
        ("pool_size = true", "pool_size: write a whole number"),
        ('secret = "short"', "XIAOHUI_SECRET: needs at least 32 characters"),
        ('database_url = "mysql://root@db/x"', "XIAOHUI_DATABASE_URL: write an address such as postgres://"),
        ('database_url = "postgres://root@db:port/x"', "XIAOHUI_DATABASE_URL"),
        ('redis_url = "localhost:6379"', "XIAOHUI_REDIS_URL: write an address such as redis://"),
        ('public_url = "member.example.com"', "XIAOHUI_PUBLIC_URL: write an address such as https://"),
        ('log_level = "loud"', "XIAOHUI_LOG_LEVEL: write one of debug, info, warning, error"),
        ('trusted_proxies = "10.0.0.1"', "trusted_proxies: write a list"),
        ('trusted_proxies = ["proxy"]', "trusted_proxies: write a list"),
        ("trusted_proxies = [1]", "trusted_proxies: write a list"),
        ("environment = ", "XIAOHUI_CONFIG"),
        ('[[channel.wechat]]\naccount = "main"', "channel.wechat: unknown; the channels are wechat_oa"),
        ('[channel.wechat_oa]\naccount = "main"', "channel.wechat_oa: write [[channel.wechat_oa]] with two brackets"),
        ('[channel]\nwechat_oa = ["main"]', "channel.wechat_oa: write [[channel.wechat_oa]] with two brackets"),
        (OA.replace("app_secret", "app_secrets"), "channel.wechat_oa[1].app_secrets: unknown setting"),
        (OA.replace('app_secret = "app-secret-of-oa"', ""), "channel.wechat_oa[1].app_secret: missing"),
        (OA.replace('"app-secret-of-oa"', '""'), "channel.wechat_oa[1].app_secret: missing"),
        (OA.replace('"token-of-oa"', '""'), "channel.wechat_oa[1].token: missing"),
        (OA.replace('"token-of-oa"', "7"), "channel.wechat_oa[1].token: write text in quotes"),
        (OA.replace('"main"', '"main account"'), "channel.wechat_oa[1].account: 1 to 40 letters"),
        (OA.replace(SPARE_BITS, SPARE_BITS[:-1]), "channel.wechat_oa[1].encoding_aes_key: 43 letters and digits"),
        (OA.replace(SPARE_BITS, SPARE_BITS[:-1] + "!"), "channel.wechat_oa[1].encoding_aes_key: 43"),
        (OA.replace(SPARE_BITS, SPARE_BITS[:-1] + "键"), "channel.wechat_oa[1].encoding_aes_key: 43"),
        (OA + OA, "channel.wechat_oa: two accounts are called 'main'"),
        (OA + 'callback_window_s = "soon"', "channel.wechat_oa[1].callback_window_s: write a whole number"),
        (OA + "callback_window_s = true", "channel.wechat_oa[1].callback_window_s: write a whole number"),
        (OA + "callback_window_s = -1", "channel.wechat_oa[1].callback_window_s: 0 (off) or a number"),
        (OA + 'plain_mode = "yes"', "channel.wechat_oa[1].plain_mode: write true or false"),
        (OA + 'api_base = "api.weixin.qq.com"', "channel.wechat_oa[1].api_base: an http(s) address"),
        (OA + 'templates = "tier"', "channel.wechat_oa[1].templates: expected tables"),
        (
            OA + '[channel.wechat_oa.templates.parade]\nid = "1"',
            "channel.wechat_oa[1].templates.parade: unknown notice",
        ),
        (OA + "[channel.wechat_oa.templates.tier_raised]", "channel.wechat_oa[1].templates.tier_raised.id"),
        (ISSUE.replace("1000002", '"two"'), "channel.wecom[1].agent_id: write a whole number"),
        (ISSUE.replace("secret_of_telegram", ""), "channel.telegram[1].webhook_secret: missing; without it anybody"),
        (ISSUE.replace("secret_of_telegram", "secret of"), "channel.telegram[1].webhook_secret: 1 to 256 letters"),
        (ISSUE.replace("1234567890:token-of-telegram", ""), "channel.telegram[1].bot_token: missing"),
        ('[sms]\napi_base = "https://sms"', "sms.api_key: missing"),
        ('[sms]\napi_base = "sms"\napi_key = "k"', "sms.api_base: an http(s) address"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, names: str) -> None:
    assert names in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (OA + "plain_mode = true", "plain_mode: production takes encrypted callbacks only"),
        (OA + "callback_window_s = 0", "callback_window_s: 0 switches replay protection off"),
        (OA + 'api_base = "http://api.weixin.qq.com"', "channel.wechat_oa[1].api_base: production needs https"),
        (ISSUE.replace("https://api.telegram.org", "http://x").split("\n", 2)[2], "telegram[1].api_base: production"),
        ('[sms]\napi_base = "http://sms"\napi_key = "k"', "sms.api_base: production needs https"),
        ("sandbox = true", "sandbox: the sandbox cannot be switched on in production"),
    ],
)
def test_what_development_allows_production_refuses(tmp_path: Path, text: str, names: str) -> None:
    assert read(tmp_path, text) is not None
    assert names in refusal(tmp_path, text, **PRODUCTION)


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"PORT": "http"}, "PORT: 'http' is not a whole number"),
        ({"PORT": "65536"}, "PORT: 65536 is not between 0 and 65535"),
        ({"PORT": "-1"}, "PORT: -1 is not between"),
        ({"XIAOHUI_DRAIN_S": "soon"}, "XIAOHUI_DRAIN_S: 'soon' is not a whole number"),
        ({"XIAOHUI_SECRET": "s"}, "XIAOHUI_SECRET: needs at least 32 characters"),
        ({**PRODUCTION, "XIAOHUI_FAILPOINTS": "relay.handled=kill"}, "XIAOHUI_FAILPOINTS"),
    ],
)
def test_a_mistake_in_the_environment_is_named(tmp_path: Path, environ: dict[str, str], names: str) -> None:
    assert names in refusal(tmp_path, **environ)


def test_missing_secrets_are_named_all_at_once(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, XIAOHUI_ENVIRONMENT="production")
    for name in ("XIAOHUI_SECRET", "XIAOHUI_DATABASE_URL", "XIAOHUI_REDIS_URL"):
        assert name in sentence


def test_a_file_that_was_named_must_exist_and_a_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        config.load({"XIAOHUI_CONFIG": str(tmp_path / "elsewhere.toml")})
    with pytest.raises(ConfigError, match="not readable TOML"):
        config.load({"XIAOHUI_CONFIG": str(tmp_path)})


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    text = 'host = "::"\npool_size = 7\nlog_level = "ERROR"'
    settings = read(tmp_path, text, XIAOHUI_POOL_SIZE="9", XIAOHUI_LOG_LEVEL="")
    assert (settings.host, settings.pool_size, settings.log_level, settings.port) == ("::", 9, "error", 8080)


def test_check_says_what_is_configured_and_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {**PRODUCTION, "XIAOHUI_PUBLIC_URL": "https://member.example.com/"}
    assert check_configuration(read(tmp_path, ISSUE.split("\n", 2)[2], **environ)) == 0
    said = capsys.readouterr().out
    for path in ("wechat_oa/main", "wechat_mini/main", "wecom/main", "telegram/main"):
        assert f"https://member.example.com/hooks/{path}" in said
    assert "production" in said
    assert not SECRETS_IN.search(said)


def test_check_names_variables_that_nobody_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mistyped = {"XIAOHUI_SECERT": SECRET, "XIAOHUI_TEST_REDIS_URL": "redis://x"}
    assert check_configuration(read(tmp_path, "", **mistyped)) == 0
    said = capsys.readouterr().out
    assert "unknown variable, not used: XIAOHUI_SECERT" in said
    assert SECRET not in said
    assert "XIAOHUI_TEST_REDIS_URL" not in said


def test_every_variable_of_the_documents_is_read() -> None:
    table = (CHECKOUT / "docs" / "configuration.md").read_text("utf-8").split("## Channels")[0]
    documented = set(re.findall(r"`(XIAOHUI_[A-Z_]+)`", table))
    assert {name for name in documented if not name.startswith("XIAOHUI_TEST_")} <= config.VARIABLES
    assert documented >= config.VARIABLES


def test_run_is_for_development(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["xiaohui", "run"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "run is for development" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "web", "worker", "migrate", "check", "doctor", "fsck", "demo seed"])
def test_every_command_ends_with_status_2_and_the_sentence(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "xiaohui.toml"
    file.write_text('environment = "staging"', encoding="utf-8")
    monkeypatch.setenv("XIAOHUI_CONFIG", str(file))
    monkeypatch.setenv("XIAOHUI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["xiaohui", *command.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert 'environment: write "development" or "production"' in said
    assert not (tmp_path / "home").exists()
