"""What lies under deploy/ fits the worker: its metrics, its settings, its way of being started.

Nothing is started here; no container engine is needed. The alert rules run in `promtool`.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.schema import LABEL_CODES
from stream.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_FILES = sorted(DEPLOY.glob("compose*.yaml"))
YAML_FILES = sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")])
DOCKERFILE = DEPLOY / "Dockerfile"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "kcguard.json"
RULES = DEPLOY / "prometheus" / "rules.yml"
POLICY = DEPLOY / "policy" / "policy.toml"


def named(path: Path) -> str:
    return path.relative_to(DEPLOY).as_posix()


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def services() -> dict[str, Any]:
    """Return the services of compose.yaml by name."""
    found: dict[str, Any] = read_yaml(DEPLOY / "compose.yaml")["services"]
    return found


def last_stage() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile's last stage, each as (name, arguments)."""
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    found = [(line.split()[0], line.partition(" ")[2]) for line in text.splitlines() if line]
    start = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def argument(instruction: str) -> str:
    """Return what the last `instruction` of the last stage says."""
    return [arguments for name, arguments in last_stage() if name == instruction][-1]


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels, without the rows that head them."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def panel_expressions() -> list[str]:
    """Return the PromQL of every panel, with Grafana's variables filled in."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [re.sub(r"\$__(rate_interval|range)\b", "5m", expression) for expression in found]


def rules() -> list[dict[str, Any]]:
    return [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"]]


def metrics_in(text: str) -> set[str]:
    """Return the metrics that `text` names, without the endings that Prometheus gives series."""
    names = re.findall(r"\bkcguard_[a-z_]+\b", text)
    return {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in names}


def exported_metrics() -> set[str]:
    source = (ROOT / "stream" / "metrics.py").read_text(encoding="utf-8")
    return metrics_in(" ".join(re.findall(r'"kcguard_[a-z_]+"', source)))


def promtool(*arguments: str | Path) -> None:
    """Run promtool; fail with its words where it fails. Without it: skip, but fail in CI."""
    if shutil.which("promtool") is None:
        reason = "promtool is missing; Debian's package `prometheus` brings it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )
    assert (0, "") == (done.returncode, done.stderr), done.stdout


# -- the files by themselves -------------------------------------------------------------------


@pytest.mark.parametrize("path", YAML_FILES, ids=named)
def test_yaml_parses(path: Path) -> None:
    """Every YAML file under deploy/ is one mapping, the root of a configuration."""
    assert dict is type(read_yaml(path))


def test_compose_has_the_services() -> None:
    """The whole pipeline is in compose.yaml: broker, topics, worker, Prometheus, Grafana."""
    assert {"kafka", "topics", "worker", "prometheus", "grafana"} == set(services())


def test_compose_publishes_on_the_loopback_only() -> None:
    """No port is reachable from another machine: none of the services asks for a password."""
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert [] == [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)]


def test_compose_pins_every_image() -> None:
    """Every image that is pulled carries a full version."""
    pulled = [service["image"] for service in services().values() if "build" not in service]
    assert [] == [image for image in pulled if not re.search(r":v?\d+\.\d+\.\d+$", image)]


@pytest.mark.parametrize("name", sorted(services()))
def test_services_hold_no_privileges(name: str) -> None:
    """Every service runs without capabilities and cannot gain any."""
    service = services()[name]
    assert (["ALL"], ["no-new-privileges:true"]) == (service["cap_drop"], service["security_opt"])


def test_worker_cannot_write_its_own_files() -> None:
    """The worker's root file system is read-only."""
    assert services()["worker"]["read_only"] is True


def test_worker_waits_for_broker_and_topics() -> None:
    """The worker starts once the broker is healthy and the topics are made."""
    expected = {
        "kafka": {"condition": "service_healthy"},
        "topics": {"condition": "service_completed_successfully"},
    }
    assert expected == services()["worker"]["depends_on"]


def test_what_is_waited_for_has_a_health_check() -> None:
    """A service that others want healthy has a health check, in compose.yaml or in our image."""
    waited_for = {
        name
        for service in services().values()
        for name, wait in service.get("depends_on", {}).items()
        if wait["condition"] == "service_healthy"
    }
    checked = {name for name, service in services().items() if "healthcheck" in service}
    assert set() == waited_for - checked - {"worker"}


def test_worker_is_given_the_time_it_needs_to_stop() -> None:
    """The engine kills the worker only after its own deadline for stopping has passed."""
    grace = int(services()["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["stop_seconds"].default


def test_build_finds_its_dockerfile_and_context() -> None:
    """The worker is built from the repository's root with deploy/Dockerfile."""
    build = services()["worker"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert (ROOT, DOCKERFILE) == (context, context / build["dockerfile"])


# -- the image ---------------------------------------------------------------------------------


def test_image_runs_as_a_fixed_user_that_is_not_root() -> None:
    """The image's user is given by number and is not root."""
    assert "10001:10001" == argument("USER")


def test_image_starts_the_worker() -> None:
    """The image runs `python -m stream run`, as process 1, so the signals reach it."""
    started = [json.loads(argument(name)) for name in ("ENTRYPOINT", "CMD")]
    assert [["python", "-m", "stream"], ["run"]] == started


def test_image_stops_and_is_checked_as_the_worker_expects() -> None:
    """The image is stopped with SIGTERM, and it is healthy while /livez answers."""
    assert ("SIGTERM", True) == (argument("STOPSIGNAL"), "/livez" in argument("HEALTHCHECK"))


def test_build_sees_only_what_is_allowed() -> None:
    """The build's context is an allow-list: everything is left out, then some is let in."""
    text = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8")
    patterns = [line for line in text.splitlines() if line and not line.startswith("#")]
    let_in = [pattern for pattern in patterns if pattern.startswith("!")]
    expected = ["!pyproject.toml", "!README.md", "!stream", "!train/**/*.py", "!export/**/*.py"]
    assert ["*", *expected, "!models/kcguard"] == [patterns[0], *let_in]


# -- the worker's settings ---------------------------------------------------------------------


@pytest.mark.parametrize("path", [DOCKERFILE, *COMPOSE_FILES, RULES, DASHBOARD, POLICY], ids=named)
def test_variables_are_settings(path: Path) -> None:
    """Every KCGUARD_ variable that a file under deploy/ sets or names is a setting."""
    known = {f"KCGUARD_{name.upper()}" for name in Settings.model_fields}
    used = set(re.findall(r"\bKCGUARD_[A-Z_]+\b", path.read_text(encoding="utf-8")))
    assert set() == used - known


def test_settings_accept_what_the_deployment_sets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The worker takes the values that the image and compose.yaml give it, and they arrive."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    image = dict(re.findall(r"\b(KCGUARD_[A-Z_]+)=(\S+)", text[text.rindex("\nFROM ") :]))
    given = image | services()["worker"]["environment"]
    monkeypatch.chdir(tmp_path)  # Away from a developer's .env.
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings.model_validate({})
    arrived = {name: getattr(settings, name.removeprefix("KCGUARD_").lower()) for name in given}
    assert given == {name: str(value) for name, value in arrived.items()}


def test_topics_are_made_under_the_names_the_worker_uses() -> None:
    """The service that makes the topics and the worker read the same variables."""
    shared = services()["topics"]["environment"]
    worker = services()["worker"]["environment"]
    made = re.findall(r'topic "\$\$(KCGUARD_\w+)"', services()["topics"]["command"][0])
    assert shared == {name: worker.get(name) for name in ["KCGUARD_BOOTSTRAP_SERVERS", *made]}


# -- the worker's metrics ----------------------------------------------------------------------


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_rules_name_metrics_of_the_worker(rule: dict[str, Any]) -> None:
    """Every kcguard_ metric in an alert rule is one that the worker exports."""
    assert set() == metrics_in(rule["expr"]) - exported_metrics()


def test_dashboard_names_metrics_of_the_worker() -> None:
    """Every kcguard_ metric on the dashboard is one that the worker exports."""
    assert set() == metrics_in(" ".join(panel_expressions())) - exported_metrics()


def test_dashboard_shows_every_metric() -> None:
    """Every metric that the worker exports is somewhere on the dashboard."""
    assert set() == exported_metrics() - metrics_in(" ".join(panel_expressions()))


def test_the_page_watches_a_label_that_exists() -> None:
    """The alert for supervisors selects the label code under which 성희롱 is counted."""
    page = next(rule for rule in rules() if rule["alert"] == "SexualHarassmentFlagged")
    assert [LABEL_CODES["성희롱"]] == re.findall(r'label="(\w+)"', page["expr"])


def test_supervisors_read_korean() -> None:
    """Every annotation of every alert for supervisors is written in Korean."""
    texts = [
        text
        for rule in rules()
        if rule["labels"]["audience"] == "supervisors"
        for text in rule["annotations"].values()
    ]
    assert [True, True] == [re.search("[가-힣]", text) is not None for text in texts]


def test_prometheus_scrapes_the_worker_where_it_listens() -> None:
    """Prometheus asks the service `worker` on the port of the settings, as the job of the rules."""
    config = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")
    jobs = {job["job_name"]: job["static_configs"] for job in config["scrape_configs"]}
    port = Settings.model_fields["http_port"].default
    assert [{"targets": [f"worker:{port}"]}] == jobs["kcguard"]


# -- the dashboard -----------------------------------------------------------------------------


def data_sources(node: object) -> Iterator[object]:
    """Yield the uid of every data source named anywhere under `node`."""
    if isinstance(node, dict):
        if "datasource" in node:
            yield node["datasource"]["uid"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from data_sources(child)


def test_dashboard_asks_the_data_source_that_is_provisioned() -> None:
    """Everything on the dashboard asks the one data source that Grafana is provisioned with."""
    path = DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    provisioned = {source["uid"] for source in read_yaml(path)["datasources"]}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert {"prometheus"} == provisioned == set(data_sources(dashboard))


def test_dashboard_lies_where_grafana_looks() -> None:
    """The folder that Grafana's provider reads is the mounted folder of the dashboard."""
    path = DEPLOY / "grafana" / "provisioning" / "dashboards" / "kcguard.yaml"
    read = [provider["options"]["path"] for provider in read_yaml(path)["providers"]]
    mounts = [volume.split(":") for volume in services()["grafana"]["volumes"]]
    folder = f"./{DASHBOARD.parent.relative_to(DEPLOY).as_posix()}"
    assert read == [mount[1] for mount in mounts if mount[0] == folder]


def test_panels_are_described() -> None:
    """Every panel says what it shows."""
    assert [] == [panel["title"] for panel in panels() if not panel.get("description")]


def test_panels_are_told_apart() -> None:
    """No two panels share an id or a title."""
    counts = Counter(itertools.chain.from_iterable((p["id"], p["title"]) for p in panels()))
    assert [] == [name for name, count in counts.items() if count > 1]


def test_panels_do_not_overlap() -> None:
    """No two panels cover the same cell of the dashboard's grid, which is 24 wide."""
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in panels())
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert [] == [cell for cell, count in cells.items() if count > 1 or cell[0] >= 24]


# -- promtool ----------------------------------------------------------------------------------


def test_promtool_accepts_the_configuration() -> None:
    """Prometheus reads its configuration, the rules included."""
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_promtool_accepts_the_rules() -> None:
    """Prometheus reads the alert rules."""
    promtool("check", "rules", RULES)


def test_alerts_fire_when_they_should_and_only_then() -> None:
    """Every alert fires, and stays silent, as rules_test.yml says."""
    promtool("test", "rules", DEPLOY / "prometheus" / "rules_test.yml")


def test_every_alert_is_tested_both_ways() -> None:
    """rules_test.yml holds for every alert a case that fires and one that does not."""
    cases = [
        (case["alertname"], "exp_alerts" in case)
        for test in read_yaml(DEPLOY / "prometheus" / "rules_test.yml")["tests"]
        for case in test.get("alert_rule_test", [])
    ]
    assert {(rule["alert"], fires) for rule in rules() for fires in (True, False)} == set(cases)


def test_dashboard_queries_are_promql(tmp_path: Path) -> None:
    """Prometheus can read the query of every panel."""
    recorded = [
        {"record": f"panel:query:{number}", "expr": expression}
        for number, expression in enumerate(panel_expressions())
    ]
    page = tmp_path / "queries.yml"
    page.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    promtool("check", "rules", page)
