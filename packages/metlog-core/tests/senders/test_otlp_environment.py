# SPDX-License-Identifier: MPL-2.0
"""What `OtlpSender` was told, and by whom."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import certifi
import pytest

from metlog.exceptions import ConfigError
from metlog.senders._otlp_environment import Settings, instance_id, read
from metlog.senders._otlp_values import shown


def test_without_a_word_there_are_defaults() -> None:
    """The collector on this machine, both signals, every five seconds."""
    settings = read(environ={})
    assert settings.metrics
    assert settings.logs
    assert settings.metrics.endpoint == "http://localhost:4318/v1/metrics"
    assert settings.logs.endpoint == "http://localhost:4318/v1/logs"
    assert (settings.metrics.timeout, settings.interval) == (5, 5)
    assert (settings.temporality, settings.histogram) == ("cumulative", "explicit")
    assert settings.metrics.headers == {}
    assert read(environ={"OTEL_CONFIG_FILE": " "}) == settings


@pytest.mark.parametrize("general", ["http://all:1", "http://all:1/"])
def test_the_argument_wins_then_the_signals_variable_then_the_general(
    general: str,
) -> None:
    """A signal's own endpoint is used as it is, the others get the signal's path."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": general}
    settings = read(environ=environ)
    assert settings.metrics
    assert settings.metrics.endpoint == "http://all:1/v1/metrics"
    environ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = "https://metrics:2/here"
    settings = read(environ=environ)
    assert settings.metrics
    assert settings.logs
    assert settings.metrics.endpoint == "https://metrics:2/here"
    assert settings.logs.endpoint == "http://all:1/v1/logs"
    settings = read(endpoint="http://given:3/base/", environ=environ)
    assert settings.metrics
    assert settings.metrics.endpoint == "http://given:3/base/v1/metrics"


@pytest.mark.parametrize(
    ("base", "whole"),
    [
        ("https://h?tenant=1", "https://h/v1/metrics?tenant=1"),
        ("https://h/?tenant=1", "https://h/v1/metrics?tenant=1"),
        ("https://h/otlp?tenant=1&x=/", "https://h/otlp/v1/metrics?tenant=1&x=/"),
        ("http://h/a//", "http://h/a/v1/metrics"),
        ("HTTP://H", "http://H/v1/metrics"),
        ("http://user:p%40ss@h/a", "http://user:p%40ss@h/a/v1/metrics"),
        ("http://[fe80::1%25eth0]:1", "http://[fe80::1%25eth0]:1/v1/metrics"),
        ("http://[::1]", "http://[::1]/v1/metrics"),
        ("http://u:p@[::1]:", "http://u:p@[::1]:/v1/metrics"),
        ("http://[::ffff:10.0.0.1]:1", "http://[::ffff:10.0.0.1]:1/v1/metrics"),
        ("http://u:p%5B@h", "http://u:p%5B@h/v1/metrics"),
        ("http://my_collector", "http://my_collector/v1/metrics"),
        ("http://b\u00fccher.example", "http://b\u00fccher.example/v1/metrics"),
        ("http://h/\u00f6", "http://h/\u00f6/v1/metrics"),
    ],
)
def test_the_signals_path_joins_that_of_a_base(base: str, whole: str) -> None:
    """And stands before the query, which stays as it is."""
    for settings in (
        read(endpoint=base, environ={}),
        read(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": base}),
    ):
        assert settings.metrics
        assert settings.metrics.endpoint == whole


def test_times_come_in_the_units_of_their_variables() -> None:
    """The exporter's timeout in seconds, the interval in milliseconds."""
    environ = {
        "OTEL_EXPORTER_OTLP_TIMEOUT": "7",
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "2.5",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
        "OTEL_METRIC_EXPORT_TIMEOUT": "30000",
    }
    settings = read(environ=environ)
    assert settings.metrics
    assert settings.logs
    assert (settings.metrics.timeout, settings.logs.timeout) == (7, 2.5)
    assert settings.interval == 60
    del environ["OTEL_EXPORTER_OTLP_TIMEOUT"]
    settings = read(environ=environ, interval="0.5")
    assert settings.metrics
    assert (settings.metrics.timeout, settings.interval) == (30, 0.5)
    settings = read(environ=environ, timeout=1)
    assert settings.metrics
    assert settings.logs
    assert (settings.metrics.timeout, settings.logs.timeout) == (1, 1)


def test_headers_add_up_and_the_argument_wins() -> None:
    """Names are compared without case, values are percent-decoded."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20abc%3D, x-scope = one,",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x-scope=logs",
    }
    settings = read(headers={"X-Scope": "mine"}, environ=environ)
    assert settings.metrics
    assert settings.logs
    assert settings.metrics.headers == {
        "authorization": "Basic abc=",
        "x-scope": "mine",
    }
    assert settings.logs.headers == {"x-scope": "mine"}
    settings = read(headers=["a=1", "b = 2=3"], environ={})
    assert settings.metrics
    assert settings.metrics.headers == {"a": "1", "b": "2=3"}


@pytest.mark.parametrize("value", [" key", "\tkey", "key ", " \t key \t ", "key"])
def test_white_space_around_a_header_is_none_of_it(value: str) -> None:
    """It cannot be sent, and nothing with it could."""
    for settings in (
        read(headers={"a": value}, environ={}),
        read(headers=[f"a={value}"], environ={}),
        read(environ={"OTEL_EXPORTER_OTLP_HEADERS": f"a={quote(value)}"}),
    ):
        assert settings.metrics
        assert settings.metrics.headers == {"a": "key"}


@pytest.mark.parametrize(
    ("environ", "metrics", "logs"),
    [
        ({"OTEL_METRICS_EXPORTER": "none"}, False, True),
        ({"OTEL_LOGS_EXPORTER": "none"}, True, False),
        ({"OTEL_METRICS_EXPORTER": "console, otlp"}, True, True),
        ({"OTEL_METRICS_EXPORTER": ""}, True, True),
        ({"OTEL_SDK_DISABLED": "true"}, False, False),
        ({"OTEL_SDK_DISABLED": "TRUE"}, False, False),
        ({"OTEL_SDK_DISABLED": "false"}, True, True),
    ],
)
def test_signals_can_be_switched_off(
    environ: dict[str, str], metrics: bool, logs: bool
) -> None:
    """One by one, or all of OpenTelemetry."""
    settings = read(environ=environ)
    assert (settings.metrics is not None, settings.logs is not None) == (metrics, logs)


@pytest.mark.parametrize("disabled", ["true", " True "])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://${COLLECTOR}:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "nonsense"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "nonsense"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/there/is/none.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/there/is/none.pem"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "linear"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5s"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "-1"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_RESOURCE_ATTRIBUTES", "garbage"),
        ("OTEL_SERVICE_NAME", "shop\udcff"),
    ],
)
def test_what_is_switched_off_need_not_be_right(
    name: str, value: str, disabled: str
) -> None:
    """As on a developer's machine, without the collector that variables name. What is
    written in the code is checked all the same."""
    environ = {name: value, "OTEL_SDK_DISABLED": disabled}
    settings = read(environ=environ)
    assert (settings.metrics, settings.logs) == (None, None)
    with pytest.raises(ConfigError, match=r"^endpoint: expected a URL"):
        read(endpoint="nonsense", environ=environ)
    with pytest.raises(ConfigError, match=f"^{name}: expected"):
        read(environ={name: value, "OTEL_SDK_DISABLED": "false"})


def test_signals_as_an_argument_are_what_counts() -> None:
    """The variables say something else, and are not even looked at."""
    environ = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_LOGS_EXPORTER": "none"}
    settings = read(signals=("metrics", "logs"), environ=environ)
    assert settings.metrics
    assert settings.logs
    settings = read(signals="logs", environ=environ)
    assert (settings.metrics is None, settings.logs is None) == (True, False)


@pytest.mark.parametrize(
    ("argument", "variable", "expected"),
    [
        (None, "", "explicit"),
        (None, "explicit_bucket_histogram", "explicit"),
        (None, "BASE2_EXPONENTIAL_BUCKET_HISTOGRAM", "exponential"),
        ("explicit", "base2_exponential_bucket_histogram", "explicit"),
        ("exponential", "", "exponential"),
        ([0.1, 1, "2.5"], "", (0.1, 1, 2.5)),
    ],
)
def test_the_form_of_histograms(argument: Any, variable: str, expected: Any) -> None:
    """The argument, else the environment's choice of two, else explicit bounds."""
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    assert read(histogram=argument, environ={name: variable}).histogram == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://host:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ho st"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://[::1:4318/v1/logs"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://::1]:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[]:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h\u2100:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:65536"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1]4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://[::1]a:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:key@[::1]4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[fe80::1%25eth0]4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::12345]:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[1:2:3]:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[v1.a]:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ho%20st:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host%:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://%HOST%:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "[::1:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1,http://b:1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://${HOST}:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://$HOST/v1/logs"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://{{ host }}:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://<host>:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host'"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host;4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host\\v1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host/#metrics"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:1#2@host"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "10000"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "nan"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "-1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5s"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/there/is/none.pem"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/there/is/none.pem"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a..b"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/\udcff"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "linear"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_CONFIG_FILE", "/etc/otel.yaml"),
    ],
)
def test_a_variable_that_cannot_be_used_is_an_error(name: str, value: str) -> None:
    """At start-up, and it says which."""
    with pytest.raises(ConfigError, match=f"^{name}: expected .*got"):
        read(environ={name: value})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"endpoint": "localhost:4318"}, "endpoint: expected a URL such as"),
        ({"endpoint": 4318}, "endpoint: expected a URL"),
        ({"endpoint": ""}, "endpoint: expected a URL"),
        ({"endpoint": "grpc://host:4317"}, "endpoint: expected a URL"),
        ({"endpoint": "http://host:4317/\ud800"}, "endpoint: expected a URL"),
        ({"endpoint": "http://h\ud800st"}, "endpoint: expected a URL"),
        ({"endpoint": "http://host/\udcff"}, "endpoint: expected a URL"),
        ({"endpoint": "http://host/\x00"}, "endpoint: expected a URL"),
        ({"endpoint": "http://host/\x1b"}, "endpoint: expected a URL"),
        ({"endpoint": f"http://{'a' * 64}:4318"}, "endpoint: expected a URL"),
        ({"endpoint": "http://a..b:4318"}, "endpoint: expected a URL"),
        ({"headers": 5}, "headers: expected a dict"),
        ({"headers": "nonsense"}, "headers: expected 'name=value', got 'nonsense'"),
        ({"headers": ["a=1", "Bearer: x"]}, "headers: expected name=value"),
        ({"headers": {"a": 1}}, "headers: expected name=value"),
        ({"headers": {"a b": "1"}}, "headers: expected name=value"),
        ({"headers": {"a": "1\r\nb: 2"}}, "headers: expected name=value"),
        ({"headers": {"a": "\u20ac"}}, "headers: expected name=value"),
        ({"headers": {"a": "\x85b"}}, "headers: expected name=value"),
        ({"headers": {"a": " \xa0b"}}, "headers: expected name=value"),
        ({"headers": {"a": "b\x0cc"}}, "headers: expected name=value"),
        ({"timeout": "long"}, "timeout: expected seconds"),
        ({"timeout": 0}, "timeout: expected seconds"),
        ({"timeout": True}, "timeout: expected seconds"),
        ({"interval": -1}, "interval: expected seconds"),
        ({"interval": float("nan")}, "interval: expected seconds"),
        ({"histogram": "linear"}, "histogram: expected 'explicit'"),
        ({"histogram": []}, "histogram: expected 'explicit'"),
        ({"histogram": [2, 1]}, "histogram: expected 'explicit'"),
        ({"histogram": [1, 1]}, "histogram: expected 'explicit'"),
        ({"histogram": [1, float("inf")]}, "histogram: expected 'explicit'"),
        ({"histogram": [1, "x"]}, "histogram: expected 'explicit'"),
        ({"signals": ()}, "signals: expected 'metrics'"),
        ({"signals": "traces"}, "signals: expected 'metrics'"),
        ({"signals": 5}, "signals: expected 'metrics'"),
        ({"protocol": "grpc"}, "protocol: expected 'http/protobuf'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    """The error names the argument, what was expected and what came."""
    with pytest.raises(ConfigError, match=f"^{said}"):
        read(**arguments, environ={})


@pytest.mark.parametrize("endpoint", [None, "http://collector:4318"])
@pytest.mark.parametrize(
    ("argument", "variable"),
    [
        ("grpc", None),
        ("GRPC", None),
        ("http/json", None),
        ("", None),
        (None, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        (None, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"),
        (None, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"),
    ],
)
def test_grpc_is_refused_with_the_way_out(
    argument: str | None, variable: str | None, endpoint: str | None
) -> None:
    """Whoever says it in code changes the code; a variable may be meant for others."""
    environ = {variable: "grpc"} if variable else {}
    with pytest.raises(ConfigError) as caught:
        read(protocol=argument, endpoint=endpoint, environ=environ)
    advice = "set that, and the endpoint for it"
    if variable:
        advice = (
            "give OtlpSender protocol='http/protobuf' and the endpoint for it, and "
            "leave the variable as it is"
        )
    assert str(caught.value) == (
        f"{variable or 'protocol'}: expected 'http/protobuf', got "
        f"{'grpc' if variable else argument!r}; ".replace("got grpc", "got 'grpc'")
        + "it is the only one that metlog speaks, and collectors take it too, usually "
        f"at port 4318: {advice}"
    )
    settings = read(protocol="http/protobuf", endpoint=endpoint, environ=environ)
    assert settings.metrics is not None
    assert settings.metrics.protocol == "http/protobuf"


@pytest.mark.parametrize(
    "value",
    ["http/protobuf", "HTTP/PROTOBUF", "Http/Protobuf", " http/protobuf ", "", " "],
)
@pytest.mark.parametrize("signal", ["", "METRICS_", "LOGS_"])
def test_the_protocol_may_be_in_capitals(signal: str, value: str) -> None:
    """As all words of OpenTelemetry's variables."""
    settings = read(environ={f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL": value})
    for target in (settings.metrics, settings.logs):
        assert target
        assert target.protocol == "http/protobuf"


SECRET = "s3cret"  # not one


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ({"endpoint": f"user:{SECRET}@host:4318"}, {}),
        ({"endpoint": f"http://user:{SECRET}@host:port"}, {}),
        ({"endpoint": f"http://host:port/?key={SECRET}"}, {}),
        ({"endpoint": f"ftp://{SECRET}@host"}, {}),
        ({"endpoint": f"http://user:{SECRET}@[::1"}, {}),
        ({"headers": SECRET}, {}),
        ({"headers": {"a": f"{SECRET}\n"}}, {}),
        ({"headers": {"a": [SECRET]}}, {}),
        ({"headers": {SECRET}}, {}),
        ({}, {"OTEL_EXPORTER_OTLP_HEADERS": SECRET}),
        ({}, {"OTEL_EXPORTER_OTLP_HEADERS": f"a b={SECRET}"}),
        ({}, {"OTEL_EXPORTER_OTLP_LOGS_HEADERS": f"a=1%0A{SECRET}"}),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"user:{SECRET}@host"}),
    ],
)
def test_no_error_shows_a_secret(
    arguments: dict[str, Any], environ: dict[str, str]
) -> None:
    """Neither its text nor what stands behind it."""
    with pytest.raises(ConfigError) as caught:
        read(**arguments, environ=environ)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error} {error!r}"
        error = None if error.__suppress_context__ else error.__context__
    settings = read(
        endpoint=f"http://user:{SECRET}@host", headers={"a": SECRET}, environ={}
    )
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://user:pass@host:1/path?key=x", "http://host:1/path"),
        ("https://host", "https://host"),
        ("user:p@ss@host", "host"),
        ("http://a@b@c/d@e", "http://e"),
        ("https://host/v1?key=first@second", "https://..."),
        ("https://user:pass@host/v1?key=first@second", "https://..."),
        ("https://host?a=1&key=first?@second", "https://..."),
        ("http://host?key=@second", "http://..."),
        ("http://user:first?second@host", "http://..."),
        ("http://user:first/second@host", "http://host"),
        ("http://user:first#second@host", "http://..."),
        ("http://host/#key=first", "http://host/"),
        ("host?key=first@second", "..."),
    ],
)
def test_a_url_as_it_may_be_printed(url: str, expected: str) -> None:
    """Too little of it rather than too much."""
    assert shown(url) == expected


def test_certificates_are_files(tmp_path: Path) -> None:
    """The signal's own, else the general one."""
    general, own = tmp_path / "all.pem", tmp_path / "logs.pem"
    for path in (general, own):
        shutil.copy(certifi.where(), path)
    settings = read(
        environ={
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(general),
            "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": str(own),
        }
    )
    assert settings.metrics
    assert settings.logs
    assert settings.metrics.certificate == str(general)
    assert settings.logs.certificate == str(own)


@pytest.mark.parametrize("signal", ["", "METRICS_", "LOGS_"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no certificate\n",
        b"\xff\xfe\x00" * 10,
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_file_without_a_certificate_is_an_error(
    tmp_path: Path, content: bytes, signal: str
) -> None:
    """At start-up: no export could succeed."""
    name = f"OTEL_EXPORTER_OTLP_{signal}CERTIFICATE"
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{name}: expected a file of certificates"):
        read(environ={name: str(path)})


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two certificates and their keys, one also with a password."""
    folder = tmp_path_factory.mktemp("keys")

    def openssl(command: str) -> None:
        words = ["openssl", *command.split()]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)

    for name in ("a", "b"):
        openssl(
            "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 "
            f"-subj /CN={name} -keyout {name}.key -out {name}.crt"
        )
    openssl("ec -aes256 -passout pass:secret -in a.key -out locked.key")
    openssl("x509 -in a.crt -outform der -out a.der")
    for together, *parts in (
        ("a.pem", "a.key", "a.crt"),
        ("chain.pem", "a.crt", "a.key", "b.crt"),
        ("locked.pem", "locked.key", "a.crt"),
        ("mixed.pem", "b.key", "a.crt"),
        ("empty.pem",),
    ):
        content = b"".join((folder / part).read_bytes() for part in parts)
        (folder / together).write_bytes(content)
    return folder


def client_pair(folder: Path, certificate: str, key: str, signal: str = "") -> Settings:
    """Read variables that name these files."""
    names = {"CERTIFICATE": certificate, "KEY": key}
    return read(
        environ={
            f"OTEL_EXPORTER_OTLP_{signal}CLIENT_{what}": str(folder / name)
            for what, name in names.items()
            if name
        }
    )


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        ("a.crt", "a.key"),
        ("a.pem", ""),
        ("a.pem", "a.pem"),
        ("a.pem", "a.key"),
        ("chain.pem", ""),
        ("locked.pem", "a.key"),
    ],
)
def test_a_clients_certificate_comes_with_its_key(
    keys: Path, certificate: str, key: str
) -> None:
    """In one file or in two."""
    settings = client_pair(keys, certificate, key)
    assert settings.metrics
    paths = str(keys / certificate), str(keys / key)
    assert settings.metrics.client_pair == (paths if key else paths[0])


@pytest.mark.parametrize("signal", ["", "METRICS_", "LOGS_"])
@pytest.mark.parametrize(
    ("certificate", "key", "which", "expected"),
    [
        ("a.crt", "b.key", "KEY", "the key of the certificate in .*a.crt"),
        ("a.crt", "locked.key", "KEY", "the key of .* without a password, got"),
        ("a.crt", "a.crt", "KEY", "the key of the certificate in"),
        ("a.crt", "empty.pem", "KEY", "the key of the certificate in"),
        ("a.crt", "none.key", "KEY", "a file, got .*none.key"),
        ("a.crt", ".", "KEY", "a file, got"),
        ("", "a.key", "KEY", r"\w+_CLIENT_CERTIFICATE with the .* got none; set it"),
        ("a.crt", "", "CERTIFICATE", r"a file with the key, too, or \w+_CLIENT_KEY,"),
        ("locked.pem", "", "CERTIFICATE", "a file with .* without a password, got"),
        ("mixed.pem", "", "CERTIFICATE", "a file with the key, .* mismatch"),
        ("a.der", "a.key", "CERTIFICATE", "a file of certificates in PEM"),
        ("a.key", "a.crt", "CERTIFICATE", "a file of certificates in PEM"),
        ("empty.pem", "", "CERTIFICATE", "a file of certificates in PEM"),
        ("none.pem", "a.key", "CERTIFICATE", "a file, got .*none.pem"),
        (".", "a.key", "CERTIFICATE", "a file, got"),
    ],
)
def test_a_clients_certificate_that_cannot_be_used_is_an_error(
    keys: Path, certificate: str, key: str, which: str, expected: str, signal: str
) -> None:
    """At start-up: no export could succeed. Nobody is asked for a password: it would be
    the thread that exports that waits at the terminal."""
    name = f"OTEL_EXPORTER_OTLP_{signal}CLIENT_{which}"
    with pytest.raises(ConfigError, match=f"^{name}: expected {expected}"):
        client_pair(keys, certificate, key, signal)


def test_a_signals_certificate_and_everybodys_key(keys: Path) -> None:
    """They are used together, so they have to fit."""
    prefix = "OTEL_EXPORTER_OTLP_"
    environ = {
        f"{prefix}CLIENT_CERTIFICATE": str(keys / "a.crt"),
        f"{prefix}CLIENT_KEY": str(keys / "a.key"),
        f"{prefix}LOGS_CLIENT_CERTIFICATE": str(keys / "b.crt"),
    }
    with pytest.raises(ConfigError, match=r"^OTEL_EXPORTER_OTLP_CLIENT_KEY: .*b\.crt"):
        read(environ=environ)
    assert read(environ=environ, signals="metrics").metrics
    environ[f"{prefix}LOGS_CLIENT_KEY"] = str(keys / "b.key")
    assert read(environ=environ).logs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service.instance.id=web%2D1,service.name=shop", "web-1"),
        ("service.name=shop, service.instance.id = a ", "a"),
        ("service.name=shop", None),
        ("service.instance.id=", None),
        ("", None),
    ],
)
def test_the_environments_instance(text: str, expected: str | None) -> None:
    """One of the attributes of ``OTEL_RESOURCE_ATTRIBUTES``."""
    assert instance_id({"OTEL_RESOURCE_ATTRIBUTES": text}) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("garbage", "a", "a=1,b", "a;b", "=", "=1", " =1", "a=1,,=2", '{"a": 1}'),
        *("service.name", "a=1,\udcff=2", "a=\udcff", "a=1,b=\ud800x"),
    ],
)
def test_resource_attributes_that_cannot_be_read(text: str) -> None:
    """The SDK would log them, one by one, and go on without."""
    with pytest.raises(ConfigError, match=r"expected name=value.* got ") as raised:
        read(environ={"OTEL_RESOURCE_ATTRIBUTES": text})
    assert str(raised.value).startswith("OTEL_RESOURCE_ATTRIBUTES: ")


@pytest.mark.parametrize("text", ["shop\udcff", "\ud800"])
def test_a_service_name_that_cannot_be_sent(text: str) -> None:
    """It would spoil each request."""
    with pytest.raises(ConfigError, match=r"^OTEL_SERVICE_NAME: expected UTF-8"):
        read(environ={"OTEL_SERVICE_NAME": text})


@pytest.mark.parametrize(
    "text", ["", " ", "a=1", "a=1,", ",a=1", "a=", "a=b=c", "a=%zz", "ä=ü", " a = 1 "]
)
def test_resource_attributes_that_can_be_read(text: str) -> None:
    """As the SDK reads them."""
    read(environ={"OTEL_RESOURCE_ATTRIBUTES": text, "OTEL_SERVICE_NAME": "shöp"})
