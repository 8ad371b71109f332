# SPDX-License-Identifier: MPL-2.0
"""The settings of `OtlpSender`: from its arguments or OpenTelemetry's variables.

The argument comes first, then the signal's variable, the general one, and our default.
A value that cannot be used is an error now, not a line in a log later.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast
from urllib.parse import unquote, urlsplit

from metlog.exceptions import ConfigError
from metlog.senders import _otlp_values as values

__all__ = ["SIGNALS", "Settings", "Target", "instance_id", "read"]

SIGNALS = ("metrics", "logs")
INTERVAL = 5.0
TIMEOUT = 5.0

Temporality = Literal["cumulative", "delta", "lowmemory"]
T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """Where one signal goes, and how."""

    endpoint: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout: float
    """Seconds for one request, in total."""
    compression: str
    protocol: str
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None

    @property
    def client_pair(self) -> str | tuple[str, str] | None:
        """The client's certificate, with its key if that is another file."""
        if self.client_certificate and self.client_key:
            return self.client_certificate, self.client_key
        return self.client_certificate


@dataclass(frozen=True)
class Settings:
    """The settings of an `OtlpSender`. A signal without a target is not sent."""

    metrics: Target | None
    logs: Target | None
    interval: float
    temporality: Temporality
    histogram: Literal["explicit", "exponential"] | tuple[float, ...]

    @property
    def has_one_collector(self) -> bool:
        """Return whether both signals go to the same place."""
        if self.metrics is None or self.logs is None:
            return False
        return (
            urlsplit(self.metrics.endpoint).netloc
            == urlsplit(self.logs.endpoint).netloc
        )


def read(
    *,
    endpoint: object = None,
    headers: object = None,
    timeout: object = None,
    interval: object = None,
    histogram: object = None,
    signals: object = None,
    protocol: object = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read all of it, or raise a `ConfigError` that names the argument or variable."""
    if environ.get("OTEL_CONFIG_FILE", "").strip():
        raise ConfigError(
            "expected no configuration file, got one; metlog does not read it. Give "
            "OtlpSender its arguments and unset the variable where metlog starts",
            "OTEL_CONFIG_FILE",
        )
    reader = _Reader(environ)
    disabled = reader.boolean("OTEL_SDK_DISABLED")
    if disabled:
        reader = _Reader({})  # do not complain about what is switched off
    reader.check_resource()
    wanted = _signals(signals) if signals is not None else reader.signals()
    made: dict[str, Target | None] = {}
    for signal in SIGNALS:
        made[signal] = None
        if signal in wanted:
            made[signal] = _target(reader, signal, endpoint, headers, timeout, protocol)
    if disabled:
        made = dict.fromkeys(SIGNALS)
    return Settings(
        metrics=made["metrics"],
        logs=made["logs"],
        interval=_interval(reader, interval),
        temporality=cast(
            Temporality,
            reader.choice(
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                "cumulative delta lowmemory",
                "cumulative",
            ),
        ),
        histogram=_histogram(reader, histogram),
    )


def instance_id(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return ``service.instance.id`` from ``OTEL_RESOURCE_ATTRIBUTES``, if present."""
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == "service.instance.id":
            return unquote(value.strip()) or None
    return None


# -- one argument each -----------------------------------------------------------


def _target(
    reader: _Reader,
    signal: str,
    endpoint: object,
    headers: object,
    timeout: object,
    protocol: object,
) -> Target:
    found = {**reader.headers(signal), **_headers(headers)}
    client_certificate, client_key = _client_pair(reader, signal)
    return Target(
        endpoint=_endpoint(reader, signal, endpoint),
        headers=found,
        timeout=_timeout(reader, signal, timeout),
        compression=reader.first(
            signal, "COMPRESSION", values.choice("none gzip deflate"), "none"
        ),
        protocol=_protocol(reader, signal, protocol),
        certificate=reader.first(signal, "CERTIFICATE", values.certificates, None),
        client_key=client_key,
        client_certificate=client_certificate,
    )


def _client_pair(reader: _Reader, signal: str) -> tuple[str | None, str | None]:
    """Return the paths of the client's certificate and of its key."""
    nothing = None, ""
    certificate, name = reader.first(
        signal, "CLIENT_CERTIFICATE", _certificates, nothing
    )
    key, name_of_key = reader.first(signal, "CLIENT_KEY", _file, nothing)
    if certificate:
        values.key_pair(certificate, key, name_of_key or name)
    elif key:
        name = name_of_key.replace("KEY", "CERTIFICATE")
        raise ConfigError(
            f"expected {name} with the certificate of this key, got none; set it, or "
            "unset this one",
            name_of_key,
        )
    return certificate, key


def _certificates(value: object, name: str) -> tuple[str, str]:
    return values.certificates(value, name), name


def _file(value: object, name: str) -> tuple[str, str]:
    return values.file(value, name), name


def _endpoint(reader: _Reader, signal: str, argument: object) -> str:
    if argument is not None:
        return _with_path(values.url(argument, "endpoint"), signal)
    name, value = reader.named(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    if value:
        return values.url(value, name)
    name, value = reader.named("OTEL_EXPORTER_OTLP_ENDPOINT")
    return _with_path(values.url(value or "http://localhost:4318", name), signal)


def _with_path(base: str, signal: str) -> str:
    parts = urlsplit(base)
    return parts._replace(path=f"{parts.path.rstrip('/')}/v1/{signal}").geturl()


_BARE_NAME = re.compile(r"[A-Za-z-]{1,16}")  # too short and simple to be a secret


def _headers(value: object) -> dict[str, str]:
    if value is None:
        return {}
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, (list, tuple)):
            raise ConfigError(
                "expected a dict, or texts such as 'name=value', got "
                f"a {type(value).__name__}",
                "headers",
            )
        for text in texts:
            name, equals, rest = str(text).partition("=")
            if not equals and _BARE_NAME.fullmatch(name):
                raise ConfigError(f"expected 'name=value', got {text!r}", "headers")
            pairs.append((name.strip() if equals else None, rest.strip()))
    return values.headers(pairs, "headers")


def _timeout(reader: _Reader, signal: str, argument: object) -> float:
    if argument is not None:
        return values.seconds(argument, "timeout")
    found: float | None = reader.first(signal, "TIMEOUT", values.seconds, None)
    if found is None and signal == "metrics":
        found = reader.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT")
    return TIMEOUT if found is None else found


def _interval(reader: _Reader, argument: object) -> float:
    if argument is not None:
        return max(0.01, values.seconds(argument, "interval", 0.0))
    found = reader.milliseconds("OTEL_METRIC_EXPORT_INTERVAL")
    return INTERVAL if found is None else found


def _histogram(
    reader: _Reader, argument: object
) -> Literal["explicit", "exponential"] | tuple[float, ...]:
    if argument is None:
        found = reader.choice(
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "explicit_bucket_histogram base2_exponential_bucket_histogram",
            "explicit_bucket_histogram",
        )
        return "explicit" if found.startswith("explicit") else "exponential"
    if argument == "explicit":
        return "explicit"
    if argument == "exponential":
        return "exponential"
    if isinstance(argument, (list, tuple)) and argument:
        bounds = [values.as_number(bound) for bound in argument]
        numbers = tuple(bound for bound in bounds if bound is not None)
        if len(numbers) == len(bounds) and list(numbers) == sorted(set(numbers)):
            return numbers
    raise ConfigError(
        "expected 'explicit', 'exponential' or a list of ascending bounds, "
        f"got {argument!r}",
        "histogram",
    )


def _signals(argument: object) -> frozenset[str]:
    found: Any = [argument] if isinstance(argument, str) else argument
    if (
        isinstance(found, (list, tuple, set, frozenset))
        and found
        and all(signal in SIGNALS for signal in found)
    ):
        return frozenset(found)
    raise ConfigError(
        f"expected 'metrics', 'logs' or both, got {argument!r}", "signals"
    )


def _protocol(reader: _Reader, signal: str, argument: object) -> str:
    name = "protocol"
    if argument is None:
        for name in (
            f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ):
            _, argument = reader.named(name)
            if argument:
                break
        else:
            return "http/protobuf"
    if isinstance(argument, str) and argument.lower() == "http/protobuf":
        return "http/protobuf"
    advice = "set that, and the endpoint for it"
    if name != "protocol":
        advice = (
            "give OtlpSender protocol='http/protobuf' and the endpoint for it, and "
            "leave the variable as it is"
        )
    raise ConfigError(
        f"expected 'http/protobuf', got {argument!r}; it is the only one that metlog "
        f"speaks, and collectors take it too, usually at port 4318: {advice}",
        name,
    )


class _Reader:
    """The environment. An empty variable counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def named(self, name: str) -> tuple[str, str | None]:
        """Return the name and the value, if there is one."""
        return name, self._environ.get(name, "").strip() or None

    def first(
        self, signal: str, what: str, check: Callable[[object, str], T], default: Any
    ) -> Any:
        """Return the signal's or else the general variable, checked, or the default."""
        for name in (
            f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}",
            f"OTEL_EXPORTER_OTLP_{what}",
        ):
            _, value = self.named(name)
            if value is not None:
                return check(value, name)
        return default

    def choice(self, name: str, choices: str, default: str) -> str:
        """Return one of a few words, in upper or lower case."""
        _, value = self.named(name)
        return default if value is None else values.choice(choices)(value, name)

    def boolean(self, name: str) -> bool:
        """Return whether it is true."""
        return self.choice(name, "true false", "false") == "true"

    def milliseconds(self, name: str) -> float | None:
        """Return a time in seconds, from a variable in milliseconds."""
        _, value = self.named(name)
        if value is None:
            return None
        number = values.as_number(value)
        if number is None or not 10 <= number <= 3_600_000:
            raise ConfigError(
                f"expected milliseconds from 10 to 3600000, got {value!r}", name
            )
        return number / 1000

    def headers(self, signal: str) -> dict[str, str]:
        """Return ``name=value,name=value`` as a dict; values are percent-decoded."""

        def check(value: object, name: str) -> dict[str, str]:
            pairs: list[tuple[str | None, str]] = []
            for text in str(value).split(","):
                key, equals, rest = text.partition("=")
                if text.strip():
                    decoded = unquote(rest.strip(), errors="surrogateescape")
                    pairs.append((unquote(key.strip()) if equals else None, decoded))
            return values.headers(pairs, name)

        found: dict[str, str] = self.first(signal, "HEADERS", check, {})
        return found

    def check_resource(self) -> None:
        """Raise for what the SDK would leave out, and for what could not be sent."""
        name, value = self.named("OTEL_RESOURCE_ATTRIBUTES")
        for pair in (value or "").split(","):
            key, equals, _ = pair.partition("=")
            if pair.strip() and not (key.strip() and equals and values.in_utf8(pair)):
                raise ConfigError(
                    f"expected name=value in UTF-8, with commas between, got {pair!r}",
                    name,
                )
        name, value = self.named("OTEL_SERVICE_NAME")
        if value is not None and not values.in_utf8(value):
            raise ConfigError(f"expected UTF-8, got {value!r}", name)

    def signals(self) -> frozenset[str]:
        """Return the signals whose exporter is OTLP, which is the default."""
        wanted = set()
        for signal in SIGNALS:
            name, value = self.named(f"OTEL_{signal.upper()}_EXPORTER")
            words = {word.strip().lower() for word in (value or "otlp").split(",")}
            if "otlp" in words:
                wanted.add(signal)
            elif words != {"none"}:
                raise ConfigError(
                    f"expected 'otlp' or 'none', got {value!r}; give OtlpSender "
                    "signals=... to leave the variable as it is",
                    name,
                )
        return frozenset(wanted)
