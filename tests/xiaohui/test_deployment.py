"""What production is promised by compose.yaml, the Dockerfile and the lock files, read from the files themselves."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def pins(lock: str) -> dict[str, str]:
    """The exact versions of a lock file."""
    text = (CHECKOUT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", text, re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    """The normalised package names of a list of requirements."""
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in found if name}


def test_every_container_is_unprivileged_and_read_only() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service["user"].startswith("0"), name


def test_no_secret_has_a_default() -> None:
    text = (CHECKOUT / "compose.yaml").read_text(encoding="utf-8")
    asked = re.findall(r"\$\{(\w+)([^}]*)\}", text)
    assert {name for name, _ in asked if "PASSWORD" in name or "SECRET" in name} == {
        "XIAOHUI_SECRET",
        "XIAOHUI_DATABASE_PASSWORD",
        "XIAOHUI_REDIS_PASSWORD",
    }
    assert all(rule.startswith(":?") for name, rule in asked if name != "XIAOHUI_VERSION")


def test_the_databases_are_out_of_reach_and_only_loopback_is_published() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("postgres", "valkey"):
        assert SERVICES[name]["networks"] == ["inside"]
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "requirepass" in " ".join(SERVICES["valkey"]["command"])


def test_the_schema_is_brought_up_to_date_before_anything_serves() -> None:
    for name in ("web-1", "web-2", "worker"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["restart"] == "no"


def test_the_image_runs_as_nobody_special_and_answers_for_its_health() -> None:
    image = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    last_stage = image.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last_stage
    assert "STOPSIGNAL SIGTERM" in last_stage
    assert "/readyz" in last_stage
    assert "--require-hashes" in image
    assert "requirements-dev" not in image


def test_the_lock_files_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    production, everything = pins("requirements.lock"), pins("requirements-dev.lock")
    assert names(project["dependencies"]) | names(extras["build"]) <= set(production)
    assert names([line for extra in extras.values() for line in extra]) <= set(everything)
    assert production.items() <= everything.items()
    assert not names(extras["embedded"] + extras["dev"]) & set(production)


def test_the_lock_files_name_no_host_and_every_file_has_a_hash() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (CHECKOUT / lock).read_text(encoding="utf-8")
        assert "://" not in text
        for block in re.split(r"\n(?=[a-z0-9])", text.strip()):
            assert "--hash=sha256:" in block, block.splitlines()[0]
