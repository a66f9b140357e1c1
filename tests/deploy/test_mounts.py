"""What the deployment mounts and probes: the policy, the token of /metrics, /livez."""

import re
from pathlib import Path
from typing import Any

from stream.policy import Policy, parse_policy
from stream.schema import ABUSE, SEXUAL_HARASSMENT
from stream.settings import Settings
from tests.deploy.test_deploy import (
    DASHBOARD,
    DEPLOY,
    POLICY,
    argument,
    promtool,
    read_yaml,
    rules,
    services,
)

TOKEN_CONFIG = DEPLOY / "prometheus" / "prometheus.token.yml"


def overlay() -> dict[str, Any]:
    """Return the services that compose.token.yaml changes, by name."""
    found: dict[str, Any] = read_yaml(DEPLOY / "compose.token.yaml")["services"]
    return found


def test_the_mounted_policy_lies_where_the_worker_looks() -> None:
    """KCGUARD_POLICY names a file in a folder that is mounted whole, read-only."""
    inside = Path(services()["worker"]["environment"]["KCGUARD_POLICY"])
    mounts = [volume.split(":") for volume in services()["worker"]["volumes"]]
    found = [(DEPLOY / source, mode) for source, at, mode in mounts if Path(at) == inside.parent]
    assert [(True, "ro")] == [((source / inside.name).is_file(), mode) for source, mode in found]


def test_the_policy_that_is_mounted_says_the_defaults() -> None:
    """Mounting deploy/policy/policy.toml as it stands changes no verdict and no version."""
    thresholds = {ABUSE: 0.7, SEXUAL_HARASSMENT: 0.6}
    text = POLICY.read_text(encoding="utf-8")
    assert Policy(thresholds=thresholds).version == parse_policy(text, thresholds).version


def test_prometheus_with_a_token_differs_in_the_token_alone() -> None:
    """The configuration with a token is the other one, but for the worker's authorization."""
    plain, token = read_yaml(TOKEN_CONFIG.with_name("prometheus.yml")), read_yaml(TOKEN_CONFIG)
    shown = {job["job_name"]: job.pop("authorization", None) for job in token["scrape_configs"]}
    path = f"/run/secrets/{overlay()['prometheus']['secrets'][0]}"
    assert plain == token
    expected = {"type": "Bearer", "credentials_file": path}
    assert {"kcguard": expected, "prometheus": None} == shown


def test_one_secret_is_the_token_of_both() -> None:
    """Worker and Prometheus mount the one secret, under the name that the worker's setting has."""
    secrets = {name: service["secrets"] for name, service in overlay().items()}
    assert {"worker": ["kcguard_http_token"], "prometheus": ["kcguard_http_token"]} == secrets
    assert "http_token" in Settings.model_fields


def test_the_overlay_changes_which_configuration_is_read_and_no_more() -> None:
    """Prometheus is started as in compose.yaml, but for its configuration's name."""
    plain, token = (made["prometheus"]["command"] for made in (services(), overlay()))
    assert plain == [part.replace(TOKEN_CONFIG.name, "prometheus.yml") for part in token]


def test_promtool_accepts_the_configuration_with_a_token() -> None:
    """Prometheus reads the configuration with a token; the token itself is not there to check."""
    promtool("check", "config", "--syntax-only", TOKEN_CONFIG)


def test_dashboard_marks_every_alert() -> None:
    """The annotation on the dashboard's graphs names every alert of the rules."""
    marked = re.search(r'alertname=~\\"([A-Za-z|]+)\\"', DASHBOARD.read_text(encoding="utf-8"))
    assert marked is not None
    assert sorted(rule["alert"] for rule in rules()) == sorted(marked[1].split("|"))


def test_the_health_check_waits_for_an_answer_and_sees_a_stall_while_it_lasts() -> None:
    """Its question ends before its own deadline, and its last try falls into a stall's length."""
    text = argument("HEALTHCHECK")
    seconds = {name: int(n) for name, n in re.findall(r"--(\S+)=(\d+)s", text)}
    (question,) = re.findall(r"timeout=(\d+)\)", text)
    (retries,) = re.findall(r"--retries=(\d+)", text)
    assert int(question) < seconds["timeout"] <= seconds["interval"]
    assert int(retries) * seconds["interval"] < Settings.model_fields["stall_seconds"].default
