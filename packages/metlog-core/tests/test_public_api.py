# SPDX-License-Identifier: MPL-2.0
"""The names that users type: those of metlog-py 0.10, and ours."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from public_surface import added, public_classes

import metlog
from metlog import MetlogClient, senders
from metlog.senders import base

NAMES: dict[str, list[str]] = {
    "metlog": ["SEVERITY", "MetlogClient", "get_client"],
    "metlog.client": ["SEVERITY", "ClientStats", "MetlogClient"],
    "metlog.config": [
        *("client_from_dict_config", "client_from_stream_config"),
        *("client_from_text_config", "dict_from_stream_config", "nest_prefixes"),
    ],
    "metlog.holder": ["CLIENT_HOLDER", "MetlogClientHolder", "get_client"],
    "metlog.decorators": ["incr_count", "timeit"],
    "metlog.decorators.base": ["MetlogDecorator"],
    "metlog.decorators.stats": ["incr_count", "timeit"],
    "metlog.filters": [
        "Filter",
        *("severity_max_provider", "type_blacklist_provider"),
        *("type_severity_max_provider", "type_whitelist_provider"),
    ],
    "metlog.logging": ["MetlogHandler", "hook_logger"],
    "metlog.exceptions": [
        *("ConfigError", "EnvironmentNotFoundError", "MethodNotFoundError"),
        *("MetlogError", "within"),
    ],
    "metlog.senders": [
        *("DebugCaptureSender", "FanOutSender", "FileSender", "MetricSender"),
        *(
            "NoSendSender",
            "OtlpSender",
            "PrometheusSender",
            "Sender",
            "SenderStats",
            "StatsdSender",
        ),
        *("StdLibLoggingSender", "StdOutSender", "StreamSender", "UdpSender"),
        *("ZmqHandshakePubSender", "ZmqPubSender"),
    ],
    "metlog.senders.dev": [
        *("DebugCaptureSender", "FileSender", "StdOutSender", "StreamSender")
    ],
    "metlog.senders.udp": ["UdpSender"],
    "metlog.senders.logging": ["StdLibLoggingSender"],
    "metlog.senders.zmq": ["ZmqHandshakePubSender", "ZmqPubSender"],
    "metlog.senders.statsd": ["StatsdSender"],
    "metlog.senders.fanout": ["FanOutSender"],
    "metlog.senders.otlp": ["OtlpSender"],
    "metlog.senders.prometheus": [
        *("PrometheusSender", "collector", "exposition", "find"),
    ],
    "metlog.path": ["resolve_name"],
    "metlog.testing": [
        *("HttpAnswer", "HttpReceiver", "HttpRequest", "RecordingSender"),
        *("SenderContract", "Sent", "UdpReceiver", "add_up", "capture", "until"),
    ],
    "metlog.capture": [
        *("Captured", "Collection", "Collector", "collecting", "start", "stop"),
    ],
    "metlog.catalogue": [
        *("Metric", "declare", "find", "metrics", "prefix_of", "segment"),
        "taken_apart",
    ],
    "metlog.rules": [
        *("KEEP", "NO_RULES", "Decision", "Rules", "as_rules", "common_fields"),
        "is_reserved",
    ],
    "metlog.semconv": [
        *("CONVENTIONS", "SCHEMA_URL", "Attribute", "Convention", "Semconv"),
        "known_methods",
    ],
    "metlog.pytest_plugin": ["metlog_sent"],
    # For senders and instrumentation; our own other packages import nothing else.
    "metlog.diagnostics": ["Diagnostics", "numbered", "scrub"],
    "metlog.handles": [
        *("LAST", "CounterHandle", "GaugeHandle", "Handle", "HistogramHandle"),
        *("Recorder", "TimerHandle", "UpdownHandle"),
    ],
    "metlog.message": [
        *("ENV_VERSION", "Context", "Message", "Origin", "add_context", "context"),
        *("new_message", "remove_context", "rfc3339"),
    ],
    "metlog.metrics": [
        *("KINDS", "LIMIT", "Kind", "Measured", "as_number", "from_message"),
        "why_invalid",
    ],
    "metlog.senders.base": [
        *("BaseSender", "MetricSender", "NoSendSender", "Sender", "SenderStats"),
        *("close", "flush", "ignored_types"),
    ],
    "metlog.shapes": [
        *("COUNTS", "NAMES", "SECONDS", "Lens", "Namesakes", "Seen", "Shape"),
        *("Shaped", "default_bounds"),
    ],
    "metlog.wire": [],
    "metlog.wire.prometheus": [
        *("Families", "base_unit", "family_name", "labels", "sample_names"),
    ],
    "metlog.wire.statsd": [
        *("Measurement", "Seen", "Unreadable", "number", "parse"),
        *("rate_part", "safe_name", "tags_part"),
    ],
    "metlog.wire.text": ["as_text", "encodable", "log_text", "outline", "to_json"],
}

CLIENT: dict[str, str | None] = {  # None: an attribute
    "__init__": ("sender, logger, severity=6, disabled_timers=None, filters=None"),
    "setup": "sender=None, logger='', severity=6, disabled_timers=None, filters=None",
    "is_active": None,
    "send_message": "msg",
    "add_method": "method, override=False",
    "metlog": "type, logger=None, severity=None, payload='', fields=None",
    "timer": "name, logger=None, severity=None, fields=None, rate=1.0",
    "timer_send": ("name, elapsed, logger=None, severity=None, fields=None, rate=1.0"),
    "histogram": "name, value, fields=None, logger=None, severity=None, rate=1.0",
    "updown": "name, change, logger=None, severity=None, fields=None",
    "series": "kind, name, fields=None",
    "observe": (
        "name, function, fields=None, every=60, once_per_host=False, kind='gauge'"
    ),
    "drops": "name",
    "fields": None,
    "rules": None,
    "incr": "name, count=1, logger=None, severity=None, fields=None, rate=1.0",
    "gauge": "name, value, logger=None, severity=None, fields=None, rate=1.0",
    "debug": "msg, *args, **kwargs",
    "info": "msg, *args, **kwargs",
    "warn": "msg, *args, **kwargs",
    "warning": "msg, *args, **kwargs",
    "error": "msg, *args, **kwargs",
    "exception": "msg, *args, **kwargs",
    "critical": "msg, *args, **kwargs",
    "flush": "timeout=2.0",
    "close": "timeout=2.0",
    "sender_stats": None,
    "stats": None,
    "_config": None,
    "hostname": None,
    "pid": None,
    "env_version": None,
    "sender": None,
    "logger": None,
    "severity": None,
    "filters": None,
}

CLASSES: dict[str, str] = {
    # Attributes and methods, each with the class that adds it.
    "metlog._registry.MetlogClientHolder": (
        "default_client delete_client get_client global_config set_client "
        "set_default_client_name"
    ),
    "metlog._seams.Seams": "metlog send_message timer_send",
    "metlog._severity.SEVERITY": (
        "ALERT CRITICAL DEBUG EMERGENCY ERROR INFORMATIONAL NOTICE WARNING"
    ),
    "metlog._wiring.Wired": (
        "env_version fields filters hostname logger rules sender setup severity"
    ),
    "metlog.capture.Captured": "base fields kind labels message name rate start value",
    "metlog.capture.Collection": "collector token",
    "metlog.catalogue.Metric": (
        "across base bounds check dotted dotted_unit fields fixed kind labels meaning "
        "name parse parts_of reference sampled scale semconv series sum_of unit"
    ),
    "metlog.client.ClientStats": "errors filtered invalid",
    "metlog.client.MetlogClient": (
        "add_method close critical debug drops error exception flush gauge histogram "
        "incr info is_active observe pid sender_stats series stats timer updown warn "
        "warning"
    ),
    "metlog.decorators.base.MetlogDecorator": (
        "args client client_name decorator_name fn kwargs metlog_call name predicate"
    ),
    "metlog.diagnostics.Diagnostics": "count report",
    "metlog.exceptions.ConfigError": "path",
    "metlog.exceptions.EnvironmentNotFoundError": "varname",
    "metlog.handles.CounterHandle": "add",
    "metlog.handles.GaugeHandle": "set",
    "metlog.handles.Handle": "kind metric name",
    "metlog.handles.HistogramHandle": "record",
    "metlog.handles.TimerHandle": "record time",
    "metlog.handles.UpdownHandle": "add",
    "metlog.logging.MetlogHandler": "metlog_client",
    "metlog.message.Message": (
        "env_version fields logger metlog_hostname metlog_pid payload severity "
        "timestamp type"
    ),
    "metlog.message.Origin": "env_version hostname logger severity",
    "metlog.metrics.Measured": "fields kind name rate value",
    "metlog.rules.Decision": "drop labels rate rename then",
    "metlog.rules.Rules": "for_",
    "metlog.semconv.Convention": (
        "bounds fails_from meaning name others required stability unit"
    ),
    "metlog.semconv.Semconv": "attributes convention keeps name parts spell",
    "metlog.senders._exporting.ExportingSender": "send_metric",
    "metlog.senders.base.BaseSender": (
        "close conflicts flush ignores send_message stats"
    ),
    "metlog.senders.base.MetricSender": "send_metric",
    "metlog.senders.base.Sender": "send_message",
    "metlog.senders.base.SenderStats": "dropped errors queued retried sent",
    "metlog.senders.dev.DebugCaptureSender": "msgs",
    "metlog.senders.dev.FileSender": "filepath",
    "metlog.senders.dev.StreamSender": "stream",
    "metlog.senders.fanout.FanOutSender": "routes send_metric",
    "metlog.senders.logging.StdLibLoggingSender": "json_types logger payload_types",
    "metlog.senders.prometheus.PrometheusSender": "collect port",
    "metlog.shapes.Lens": "common drops rules see through told",
    "metlog.shapes.Namesakes": "watch",
    "metlog.shapes.Seen": "common decision series",
    "metlog.shapes.Shape": "conflicts declared names of tell_lost",
    "metlog.shapes.Shaped": (
        "across attributes bounds labels meaning name prefix rate resource scale unit"
    ),
    "metlog.testing._contract.SenderContract": (
        "backend_keeps_names calls_per_thread counts make_sender "
        "make_sender_without_backend notices_absence sees_children teardown_method "
        "test_a_backend_away_neither_raises_nor_blocks_nor_piles_up "
        "test_a_fork_doubles_nothing_and_both_sides_go_on "
        "test_a_huge_message_does_not_stop_the_next "
        "test_a_message_after_close_hurts_nobody test_both_paths_say_the_same "
        "test_close_hands_over_and_lets_go "
        "test_names_of_any_kind_do_not_harm_their_neighbours test_stats_add_up "
        "test_threads_lose_nothing_and_double_nothing "
        "test_values_without_a_form_become_text "
        "test_what_was_accepted_arrives_by_the_end_of_flush timeout_seconds"
    ),
    "metlog.testing._http.HttpAnswer": "body headers status",
    "metlog.testing._http.HttpReceiver": "answer close port requests url",
    "metlog.testing._http.HttpRequest": "body headers method path",
    "metlog.testing._receiver.UdpReceiver": (
        "catch_up close counts datagrams lines messages port seen timings wait_until"
    ),
    "metlog.testing._recording.RecordingSender": (
        "messages metrics send_message send_metric"
    ),
    "metlog.testing._sent.Sent": "captured collect counts of timings",
    "metlog.wire.prometheus.Families": "claim",
    "metlog.wire.statsd.Measurement": "fields kind name rate value",
    "metlog.wire.statsd.Unreadable": "text",
}

SEAMS: dict[str, str] = {
    # Likewise, but not for users: what other rooms of the library call on a client, a
    # handle or a sender, and our other packages on a PrometheusSender.
    "metlog._seams.Seams": "declared observed observed_error remembered",
    "metlog._wiring.Wired": "after_fork reroute reroute_soon",
    "metlog.handles.CounterHandle": "tick",
    "metlog.handles.Handle": "arm disarm identity rest series",
    "metlog.handles.TimerHandle": "between",
    "metlog.handles._ValuesHandle": "put",
    "metlog.senders._delivery.queue.QueuedSender": "after_fork at_exit hurry tick",
    "metlog.senders._exporting.ExportingSender": (
        "absorb added after_fork at_exit closed direct drain_for_clients ended "
        "histogram hurry is_mine join last_turn lose makes_room max_series "
        "reads_fields start tick wake"
    ),
    "metlog.senders.fanout.FanOutSender": (
        "drain_for_clients measure_for_others rest_for_clients send_to_others "
        "takes_metrics"
    ),
    "metlog.senders.prometheus.PrometheusSender": "directory has_siblings prefix shape",
}

SIGNATURES = {
    "metlog.config.client_from_dict_config": "config, client=None, clear_global=False",
    "metlog.config.client_from_stream_config": (
        "stream, section, client=None, clear_global=False"
    ),
    "metlog.config.client_from_text_config": (
        "text, section, client=None, clear_global=False"
    ),
    "metlog.config.dict_from_stream_config": "stream, section",
    "metlog.config.nest_prefixes": "config_dict, prefixes=None, separator='_'",
    "metlog.holder.get_client": "name, config_dict=None",
    "metlog.logging.hook_logger": "logger_name, client",
    "metlog.logging.MetlogHandler": "metlog_client",
    "metlog.path.resolve_name": "name, package=None",
    "metlog.senders.StreamSender": "stream, formatter=None",
    "metlog.senders.StdOutSender": "formatter=None",
    "metlog.senders.FileSender": "filepath, formatter=None",
    "metlog.senders.StdLibLoggingSender": (
        "logger_name=None, payload_types=None, json_types=None"
    ),
    "metlog.senders.ZmqPubSender": (
        "bindstrs, pool_size=10, queue_length=1000, livecheck=10, debug_stderr=False, "
        "queue_bytes=33554432"
    ),
    "metlog.senders.ZmqHandshakePubSender": (
        "handshake_bind, connect_bind, handshake_timeout, pool_size=10, hwm=200, "
        "livecheck=10, debug_stderr=False, queue_bytes=33554432"
    ),
}


def plain(signature: inspect.Signature) -> str:
    """Parameters and defaults, without types and without self."""
    parameters = [
        p.replace(annotation=p.empty)
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    text = str(signature.replace(parameters=parameters, return_annotation=None))
    text = text.rpartition(" -> ")[0][1:-1]
    return text.replace("<SEVERITY.INFORMATIONAL: 6>", "6")


@pytest.mark.parametrize(
    ("module", "name"), [(m, name) for m, names in NAMES.items() for name in names]
)
def test_each_name_is_where_it_was(module: str, name: str) -> None:
    """And its module counts it among its own."""
    found = importlib.import_module(module)
    assert getattr(found, name) is not None
    assert name in found.__all__


@pytest.mark.parametrize(("name", "signature"), CLIENT.items())
def test_the_client_has_what_it_had(name: str, signature: str | None) -> None:
    """Methods with the parameters of metlog-py, in their order, and attributes."""
    if signature is None:
        assert hasattr(MetlogClient(None, "app"), name)
    else:
        found = inspect.signature(getattr(MetlogClient, name))
        assert plain(found) == signature


@pytest.mark.parametrize(("name", "signature"), SIGNATURES.items())
def test_functions_take_what_they_took(name: str, signature: str) -> None:
    """Parameters of metlog-py, in their order, with their defaults."""
    assert plain(inspect.signature(metlog.path.resolve_name(name))) == signature


@pytest.mark.parametrize(
    "name",
    [
        *("get_client", "set_client", "default_client", "set_default_client_name"),
        *("delete_client", "global_config"),
    ],
)
def test_the_holder_has_what_it_had(name: str) -> None:
    """`CLIENT_HOLDER` is one `MetlogClientHolder`."""
    from metlog.holder import CLIENT_HOLDER, MetlogClientHolder

    assert isinstance(CLIENT_HOLDER, MetlogClientHolder)
    assert hasattr(CLIENT_HOLDER, name)


def test_severities_are_those_of_syslog() -> None:
    """They are ints."""
    assert [(s.name, int(s)) for s in metlog.SEVERITY] == [
        ("EMERGENCY", 0),
        ("ALERT", 1),
        ("CRITICAL", 2),
        ("ERROR", 3),
        ("WARNING", 4),
        ("NOTICE", 5),
        ("INFORMATIONAL", 6),
        ("DEBUG", 7),
    ]


@pytest.mark.parametrize(
    "name", sorted(n for n in senders.__all__ if n.endswith("Sender") and n != "Sender")
)
def test_each_sender_is_one_and_tells_how_it_is_doing(name: str) -> None:
    """``send_message`` and ``stats``; those that hold something flush and close."""
    if name == "MetricSender":
        return
    sender: Any = getattr(senders, name)
    assert callable(sender.send_message)
    assert hasattr(sender, "stats")
    assert sender.__doc__


MODULES = [
    module.name
    for module in pkgutil.walk_packages(metlog.__path__, "metlog.")
    if module.name != "metlog.__main__"
]


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_are_and_what_they_give(module: str) -> None:
    """A docstring, and a sorted ``__all__`` of names that exist."""
    found = importlib.import_module(module)
    assert found.__doc__
    assert sorted(found.__all__) == sorted(set(found.__all__))
    assert all(hasattr(found, name) for name in found.__all__)


PUBLIC = public_classes(NAMES)


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() | CLASSES.keys() | SEAMS.keys()))
def test_a_class_has_nothing_else(name: str) -> None:
    """What looks public is what this file lists: nothing is public by accident."""
    listed = [*CLASSES.get(name, "").split(), *SEAMS.get(name, "").split()]
    assert sorted(added(PUBLIC[name])) == sorted(listed)


def test_the_client_s_signatures_are_listed() -> None:
    """Whoever adds a method or an attribute says which parameters it has, or none."""
    listed = [CLASSES.get(name, "").split() for name in PUBLIC if _is_a_client_s(name)]
    assert {each for names in listed for each in names} == {
        name for name in CLIENT if not name.startswith("_")
    }


def _is_a_client_s(name: str) -> bool:
    return PUBLIC[name] in MetlogClient.__mro__


def test_no_other_module_looks_public() -> None:
    """A module is listed here, or its name begins with an underscore."""
    assert {module for module in MODULES if "._" not in module} == NAMES.keys() - {
        "metlog"
    }


@pytest.mark.parametrize("module", NAMES)
def test_a_module_gives_nothing_else(module: str) -> None:
    """``__all__`` of a public module is what this file lists, no more and no less."""
    assert sorted(importlib.import_module(module).__all__) == sorted(NAMES[module])


def test_importing_metlog_imports_nothing_it_may_not_need() -> None:
    """No extra, no server, no pytest; and nothing is connected or started."""
    script = (
        "import sys, threading, metlog; metlog.get_client; "
        "unwanted = {'zmq', 'opentelemetry', 'pytest', 'configparser', 'argparse', "
        "'http', 'asyncio', 'logging', 'ssl', 'multiprocessing'}; "
        "print(sorted(unwanted & set(sys.modules)), threading.active_count())"
    )
    # Measuring coverage imports more.
    env = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    run = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True
    )
    assert run.stdout == "[] 1\n", run.stderr


def test_the_package_is_typed_and_brings_its_licence() -> None:
    """``py.typed`` is what type checkers look for."""
    assert (Path(metlog.__path__[0]) / "py.typed").exists()


def test_a_sender_needs_one_method() -> None:
    """Anything with ``send_message`` is a sender."""

    class Mine:
        def send_message(self, msg: Any) -> None: ...

    assert isinstance(Mine(), base.Sender)
    assert not isinstance(Mine(), base.MetricSender)
    assert not isinstance(object(), base.Sender)
