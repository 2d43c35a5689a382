"""The plugin manager: what it loads, and that a bad plugin hurts nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from core.domain.plugins import API_VERSION, PluginState
from core.errors import Invalid, PluginUnavailable, RuleInvalid, UnknownFormat
from plugins import manager
from plugins.manager import PluginManager
from sortation import Auth, AuthKind, ConnectorManifest, HostInfo, RuleTypeManifest, Webhook, WebhookScheme, hookimpl

GOOD = ConnectorManifest(
    key="good", version="1.0", title="Good files", factory="third_party:Good", file_extensions=(".good",)
)
TYPE = RuleTypeManifest(key="moon", version="1.0", title="Phase of the moon", factory="third_party:Moon")


class Good:
    def detect(self, sample: bytes, filename: str) -> float:
        return float(sample)

    def read(self, ctx: object, request: object) -> Iterator[Any]:
        return iter(())


Add = Callable[..., ModuleType]


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Add:
    """Adds a plugin module of the given name and hooks, as if its distribution were installed; returns the module."""
    entries: list[EntryPoint] = []
    monkeypatch.setattr(manager, "entry_points", lambda group: list(entries) if group == "sortation" else [])
    third_party = ModuleType("third_party")
    vars(third_party).update(Good=Good, Moon=lambda: SimpleNamespace(compile=lambda params: None), Half=object)
    monkeypatch.setitem(sys.modules, "third_party", third_party)

    def add(name: str, *, dist: str = "", **hooks: Callable[..., object]) -> ModuleType:
        module = ModuleType(f"plugin_{name}")
        for hook, function in hooks.items():
            setattr(module, hook, hookimpl(function))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        entry = EntryPoint(name=name, value=module.__name__, group="sortation")
        vars(entry)["dist"] = SimpleNamespace(name=dist or f"dist-{name}", version="2.3")
        entries.append(entry)
        return module

    return add


def only(host: PluginManager, name: str) -> Any:
    return next(info for info in host.inventory() if info.name == name)


def test_the_built_in_plugins_are_found_by_their_entry_points() -> None:
    host = PluginManager()
    assert {"csv", "ofx", "json"} <= host.connectors().keys()
    for info in host.inventory():
        if info.distribution == "sortation":
            assert (info.state, info.error) == (PluginState.LOADED, None)
    for key in ("csv", "ofx", "json"):
        assert callable(host.connector(key).read)
    assert {"recurring", "amount_outlier"} <= host.rule_types().keys()
    for key in ("recurring", "amount_outlier"):
        assert callable(host.rule_type(key).compile({}).evaluate)


def test_a_plugin_offers_connectors_and_rule_types(add: Add) -> None:
    seen: list[HostInfo] = []

    def connectors(host: HostInfo) -> list[ConnectorManifest]:
        seen.append(host)
        return [GOOD]

    add("one", sortation_connectors=connectors, sortation_rule_types=lambda: [TYPE])
    host = PluginManager()
    info = only(host, "one")
    assert (info.state, info.version, info.distribution) == (PluginState.LOADED, "2.3", "dist-one")
    assert (info.connectors, info.rule_types) == ((GOOD,), (TYPE,))
    assert seen == [HostInfo(api_version=API_VERSION)]
    assert isinstance(host.connector("good"), Good)
    assert host.rule_type("moon")
    assert dict(host.connectors()) == {"good": GOOD}


def _exits() -> list[object]:
    sys.exit(3)


def _fails() -> list[object]:
    raise LookupError("no such luck")


@pytest.mark.parametrize(
    ("hooks", "state", "reason"),
    [
        ({"sortation_connectors": _fails}, PluginState.FAILED, "LookupError: no such luck"),
        ({"sortation_connectors": _exits}, PluginState.FAILED, "SystemExit: 3"),
        ({"sortation_conectors": lambda: [GOOD]}, PluginState.FAILED, "a hook that does not exist"),
        ({"sortation_connectors": lambda hosts: [GOOD]}, PluginState.FAILED, "hosts"),
        ({}, PluginState.FAILED, "implements no hook"),
        ({"sortation_connectors": lambda: 7}, PluginState.FAILED, "a hook returned int"),
        ({"sortation_connectors": lambda: [TYPE]}, PluginState.FAILED, "offered RuleTypeManifest"),
        ({"sortation_connectors": lambda: [GOOD, GOOD]}, PluginState.FAILED, "'good' is taken"),
        ({"sortation_connectors": lambda: [replace(GOOD, key="Good!")]}, PluginState.FAILED, "is no key"),
        ({"sortation_connectors": lambda: [replace(GOOD, title="")]}, PluginState.FAILED, "title"),
        ({"sortation_connectors": lambda: [replace(GOOD, factory="os.system")]}, PluginState.FAILED, "factory"),
        ({"sortation_connectors": lambda: [replace(GOOD, config_schema={})]}, PluginState.FAILED, "JSON Schema"),
        (
            {"sortation_connectors": lambda: [replace(GOOD, config_schema={"type": "object", "x": {1}})]},
            PluginState.FAILED,
            "not JSON",
        ),
        (
            {"sortation_rule_types": lambda: [replace(TYPE, params_schema={"type": "object", "required": "phase"})]},
            PluginState.FAILED,
            "moon: the schema is no JSON Schema: 'phase' is not of type 'array'",
        ),
        (
            {"sortation_connectors": lambda: [replace(GOOD, file_extensions=())]},
            PluginState.FAILED,
            "come from somewhere",
        ),
        (
            {"sortation_connectors": lambda: [replace(GOOD, auth=Auth(kind=AuthKind.API_KEY))]},
            PluginState.FAILED,
            "the key's field 'api_key'",
        ),
        (
            {"sortation_connectors": lambda: [replace(GOOD, auth=Auth(kind=AuthKind.OAUTH2))]},
            PluginState.FAILED,
            "needs authorize_url and token_url",
        ),
        (
            {"sortation_connectors": lambda: [replace(GOOD, webhook=Webhook(scheme=WebhookScheme.HMAC))]},
            PluginState.FAILED,
            "needs signature_header",
        ),
        (
            {"sortation_connectors": lambda: [replace(GOOD, webhook=Webhook(scheme=WebhookScheme.STRIPE))]},
            PluginState.FAILED,
            "what deliveries are signed with, 'webhook_secret'",
        ),
        ({"sortation_connectors": lambda: [replace(GOOD, rate_limit=5)]}, PluginState.FAILED, "must be RateLimit"),
        ({"sortation_connectors": lambda: [replace(GOOD, folder="in")]}, PluginState.FAILED, "has no field 'in'"),
        (
            {"sortation_connectors": lambda: [replace(GOOD, file_extensions=("good",))]},
            PluginState.FAILED,
            "file_extensions",
        ),
        (
            {"sortation_connectors": lambda: [replace(GOOD, api_min=API_VERSION + 1, api_max=API_VERSION + 1)]},
            PluginState.INCOMPATIBLE,
            f"this host {API_VERSION}",
        ),
    ],
)
def test_a_bad_plugin_says_why_and_hurts_no_other(
    add: Add, hooks: dict[str, Any], state: PluginState, reason: str
) -> None:
    add("bad", dist="a-first", **hooks)
    add("fine", dist="b-second", sortation_connectors=lambda: [GOOD])
    host = PluginManager()
    bad = only(host, "bad")
    assert bad.state is state
    assert reason in bad.error
    assert bad.connectors == ()
    assert only(host, "fine").state is PluginState.LOADED
    assert list(host.connectors()) == ["good"]


def test_a_plugin_that_can_not_be_imported_has_failed(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    add("gone")
    monkeypatch.delitem(sys.modules, "plugin_gone")
    info = only(PluginManager(), "gone")
    assert info.state is PluginState.FAILED
    assert "ModuleNotFoundError" in info.error


def test_no_third_party_takes_the_key_of_a_built_in(add: Add) -> None:
    add("thief", dist="aaa", sortation_connectors=lambda: [replace(GOOD, title="Stolen")])
    add("own", dist="sortation", sortation_connectors=lambda: [GOOD])
    host = PluginManager()
    assert host.connectors()["good"].title == "Good files"
    assert "taken" in only(host, "thief").error


@pytest.mark.parametrize(
    ("allow", "block", "loaded"),
    [
        ((), (), ["one", "two"]),
        (("one",), (), ["one"]),
        (("dist-two",), (), ["two"]),
        ((), ("dist-one",), ["two"]),
        (("one", "two"), ("two",), ["one"]),
    ],
)
def test_allow_and_block_name_entry_points_or_distributions(
    add: Add, allow: tuple[str, ...], block: tuple[str, ...], loaded: list[str]
) -> None:
    for name in ("one", "two"):
        add(name, sortation_connectors=lambda name=name: [replace(GOOD, key=name)])
    host = PluginManager(frozenset(allow), frozenset(block))
    assert sorted(host.connectors()) == loaded
    states = {info.name: info.state for info in host.inventory()}
    assert states == {n: PluginState.LOADED if n in loaded else PluginState.BLOCKED for n in ("one", "two")}


def test_what_is_blocked_is_not_even_imported(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    add("evil")
    monkeypatch.delitem(sys.modules, "plugin_evil")
    assert only(PluginManager(block=frozenset({"evil"})), "evil").state is PluginState.BLOCKED


def test_a_factory_is_imported_only_when_it_is_needed_and_may_fail_then(add: Add) -> None:
    factories = {"gone": "no_such_module:X", "none": "third_party:Missing", "half": "third_party:Half"}
    add("one", sortation_connectors=lambda: [replace(GOOD, key=k, factory=f) for k, f in factories.items()])
    host = PluginManager()
    assert only(host, "one").state is PluginState.LOADED
    with pytest.raises(PluginUnavailable, match="No module named 'no_such_module'"):
        host.connector("gone")
    with pytest.raises(PluginUnavailable, match="Missing"):
        host.connector("none")
    with pytest.raises(PluginUnavailable, match="has no method detect and no read"):
        host.connector("half")


def test_an_unknown_key_is_unavailable_and_says_what_is_not_loaded(add: Add) -> None:
    add("bad", sortation_connectors=_fails)
    host = PluginManager()
    with pytest.raises(PluginUnavailable, match=r"the connector 'x' \(not loaded: bad\)"):
        host.connector("x")
    with pytest.raises(PluginUnavailable, match="the rule type 'x'"):
        host.rule_type("x")


def test_the_surest_connector_gets_the_file_and_the_extension_settles_a_tie(add: Add) -> None:
    class Other(Good):
        pass

    class Broken(Good):
        def detect(self, sample: bytes, filename: str) -> float:
            raise ZeroDivisionError

    class Certain(Good):
        def detect(self, sample: bytes, filename: str) -> float:
            return 1.0

    vars(sys.modules["third_party"]).update(Other=Other, Broken=Broken, Certain=Certain)
    add(
        "one",
        sortation_connectors=lambda: [
            replace(GOOD, key="broken", factory="third_party:Broken"),
            GOOD,
            replace(GOOD, key="other", factory="third_party:Other", file_extensions=(".other",)),
            replace(GOOD, key="no-file", factory="third_party:Certain", file_extensions=(), pulls=True),
        ],
    )
    host = PluginManager()
    assert host.detect(b"0.5", "x.bin") == "good"
    assert host.detect(b"0.5", "X.OTHER") == "other"
    with pytest.raises(UnknownFormat, match=r"'x\.bin'; understood are: .*Good files \(\.good\)"):
        host.detect(b"0.2", "x.bin")
    with pytest.raises(UnknownFormat):
        host.detect(b"0", "x.good")


def test_a_configuration_is_held_to_the_schema_of_its_connector() -> None:
    manager = PluginManager()
    manager.check_config("csv", {"delimiter": ";"})
    with pytest.raises(Invalid, match=r"^config\.delimiter: "):
        manager.check_config("csv", {"delimiter": 7})
    with pytest.raises(Invalid, match=r"^config: .*colour"):
        manager.check_config("csv", {"colour": "red"})
    with pytest.raises(PluginUnavailable):
        manager.check_config("nobody", {})


def test_a_rule_type_sees_only_parameters_that_fit_its_schema(add: Add) -> None:
    seen: list[object] = []
    vars(sys.modules["third_party"]).update(Moon=lambda: SimpleNamespace(compile=seen.append))
    phase = {"type": "object", "properties": {"phases": {"type": "array", "items": {"enum": ["new", "full"]}}}}
    add("one", sortation_rule_types=lambda: [replace(TYPE, params_schema=phase)])
    moon = PluginManager().rule_type("moon")
    with pytest.raises(RuleInvalid, match=r"^params\.phases\.1: 'half' is not one of"):
        moon.compile({"phases": ["new", "half"]})
    assert seen == []
    moon.compile({"phases": ["new", "full"]})
    assert seen == [{"phases": ["new", "full"]}]
