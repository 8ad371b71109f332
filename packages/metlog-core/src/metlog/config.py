# SPDX-License-Identifier: MPL-2.0
"""Make a client from a dict, from INI text or from an INI stream.

Everything is checked before anything changes: a configuration that raises leaves the
client and the global configuration as they were. Every error is a `ConfigError`
(a ValueError) that says where it is, what was expected and what was found.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from textwrap import dedent
from typing import Any

from metlog._factory import import_callable, instantiate, make_sender
from metlog._ini import expand, nest_prefixes, read, refuse_both
from metlog._registry import CLIENT_HOLDER
from metlog._severity import as_severity
from metlog.client import MetlogClient
from metlog.exceptions import ConfigError, MethodNotFoundError, within
from metlog.rules import Rules, common_fields
from metlog.wire.text import outline, to_json

__all__ = [
    "client_from_dict_config",
    "client_from_stream_config",
    "client_from_text_config",
    "dict_from_stream_config",
    "nest_prefixes",
]


OPTIONS = (
    *("sender", "logger", "severity", "disabled_timers", "filters", "fields"),
    *("metrics", "plugins", "global"),
)
"""What a configuration may have, besides ``sender_…`` and ``global_…``."""


def client_from_dict_config(
    config: Mapping[str, Any],
    client: MetlogClient | None = None,
    clear_global: bool = False,
) -> MetlogClient:
    """Make a client, or configure ``client`` again.

    * ``sender``: ``{"class": dotted name, "args": [...], **options}``, or the same as
      top-level keys with a prefix: ``sender_class``, ``sender_host`` … Write an option
      in one of these ways, not in both.
    * ``logger`` (``""``), ``severity`` (6): the defaults for every message
    * ``disabled_timers``: one name or several; ``*`` means all
    * ``filters``: ``[(dotted name of a provider, its options), …]``
    * ``fields``: a dict of fields that all metrics and messages get, such as
      ``{"env": "${ENV}"}``
    * ``metrics``: rules on the names of metrics, a list of dicts: see
      `metlog.rules.Rules`
    * ``plugins``: ``{label: (dotted name of a provider, its options)}``; a provider
      gets its options as one dict and returns the method; the option ``override`` is
      passed to `MetlogClient.add_method`
    * ``global``, or ``global_…``: goes into ``CLIENT_HOLDER.global_config``, which is
      emptied first if ``clear_global`` is true

    ``${NAME}`` in any text is replaced by that environment variable. Other keys are
    ignored, unless they look like a misspelling of one of these.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"expected a dict, got {outline(config)}", "config")

    try:
        return _configure(_expanded(config), client, clear_global, config)
    except ConfigError as error:
        error.path = ("config", *error.path)
        raise


def client_from_stream_config(
    stream: Iterable[str],
    section: str,
    client: MetlogClient | None = None,
    clear_global: bool = False,
) -> MetlogClient:
    """Do the same from INI lines; see `dict_from_stream_config` for their form."""
    config, place = read(stream, section)
    try:
        return _configure(config, client, clear_global, config)
    except ConfigError as error:
        if error.path:
            error.path = (place(*error.path),)
        raise


def client_from_text_config(
    text: str,
    section: str,
    client: MetlogClient | None = None,
    clear_global: bool = False,
) -> MetlogClient:
    """Do the same from INI text, which may be indented as a whole."""
    if not isinstance(text, str):
        raise ConfigError(f"expected INI text, got {type(text).__name__}")
    lines = dedent(text).splitlines()
    return client_from_stream_config(lines, section, client, clear_global)


def dict_from_stream_config(stream: Iterable[str], section: str) -> dict[str, Any]:
    """Return the dict for `client_from_dict_config` that INI lines describe.

    The client is in ``[section]``, each filter in ``[section_filter_*]`` and each
    plugin in ``[section_plugin_*]``, both with a ``provider``; each route of a
    `metlog.senders.FanOutSender` is in ``[section_route_*]``.

    Common fields are in ``[section_fields]``. Each rule is in ``[section_rule_*]``,
    with ``match``, ``drop``, ``rename``, ``rate`` and ``label_…``. Rules that a route
    names with ``rules = a b`` belong to that route, all others to the client, in the
    order of the file.

    Whole numbers become ints, and ``true``, ``yes``, ``on``, ``t`` and their opposites
    bools, except in options that are text by nature, such as ``sender_host``. Several
    lines make a list. ``${NAME}`` is that environment variable.
    """
    return read(stream, section)[0]


def _configure(
    config: dict[str, Any],
    client: MetlogClient | None,
    clear_global: bool,
    written: Mapping[str, Any],
) -> MetlogClient:
    def part(
        key: str, kinds: type | tuple[type, ...], expected: str, default: Any
    ) -> Any:
        value = config.get(key)
        if value is None:
            return default
        if not isinstance(value, kinds):
            raise ConfigError(f"expected {expected}, got {outline(value)}", key)
        return value

    if not (client is None or callable(getattr(client, "setup", None))):
        raise ConfigError(
            f"expected a client to configure again, or none, got {outline(client):.200}"
        )
    _refuse_mistyped(config)
    for key in ("sender", "global"):
        part(key, Mapping, "a dict", {})
    refuse_both(config)
    nest_prefixes(config)
    logger = part("logger", str, "text", "")
    severity = as_severity(config.get("severity", 6), "severity")
    disabled_timers = part(
        "disabled_timers", (str, list, tuple, set, frozenset), "names of timers", ()
    )
    with within("sender"):
        sender = make_sender(config.get("sender", {}))
    filters = []
    for i, spec in enumerate(part("filters", (list, tuple), "a list", ())):
        with within("filters", i):
            provider, options = _provider(spec)
            with within(1):
                filters.append(instantiate(provider, (), options))
    with within("fields"):
        fields = common_fields({} if config.get("fields") is None else config["fields"])
    with within("metrics"):
        rules = Rules(() if config.get("metrics") is None else config["metrics"])
    methods = []
    for label, spec in part("plugins", Mapping, "a dict", {}).items():
        with within("plugins", label):
            provider, options = _provider(spec)
            override = options.pop("override", False)
            with within(1):
                method = instantiate(provider, (options,), {})
            methods.append((method, _method_name(method, override, client)))

    if client is None:
        client = MetlogClient(None, logger)
    client.setup(sender, logger, severity, disabled_timers, filters)
    client.fields, client.rules = fields, rules
    for method, name in methods:
        client.add_method(method, override=name)
    if clear_global:
        CLIENT_HOLDER.global_config = {}
    CLIENT_HOLDER.global_config.update(part("global", Mapping, "a dict", {}))
    client._config = to_json(nest_prefixes(dict(written)))  # noqa: SLF001  # metlog-py's
    client._remake = configured  # noqa: SLF001  # for pickle
    return client


def configured(name: str | None, config: str | None) -> MetlogClient:
    """Unpickle a client: return the one of that name if this process has it, else one
    made from the same configuration."""
    client = None if name is None else CLIENT_HOLDER.get_client(name)
    if client is not None and client.is_active:
        return client
    return client_from_dict_config(json.loads(config or "{}"), client)


def _provider(spec: object) -> tuple[Callable[..., Any], dict[str, Any]]:
    if not isinstance(spec, (list, tuple)) or len(spec) != 2:
        raise ConfigError(
            "expected (dotted name of a provider, dict of options), "
            f"got {outline(spec)}"
        )
    provider, options = spec
    if not isinstance(options, Mapping):
        raise ConfigError(f"expected a dict of options, got {outline(options)}", 1)
    try:
        return import_callable(provider, "a provider"), dict(options)
    except ConfigError as error:
        raise MethodNotFoundError(str(error), 0) from error


def _method_name(method: Any, override: object, client: MetlogClient | None) -> str:
    """Return the name a plugin's method will have; raise if it is taken."""
    if isinstance(override, str) and override:
        return override
    name = getattr(method, "metlog_name", None)
    if not callable(method) or not isinstance(name, str):
        raise ConfigError(
            "expected the provider to return a function with an attribute metlog_name, "
            f"got {method!r}",
            0,
        )
    earlier = () if client is None else client._dynamic_methods  # noqa: SLF001
    taken = hasattr(MetlogClient if client is None else client, name)
    if taken and not override and name not in earlier:
        raise ConfigError(
            f"the client has a method {name!r} already; override = true replaces it",
            *(1, "override"),
        )
    return name


def _refuse_mistyped(config: Mapping[str, Any]) -> None:
    known = [*OPTIONS, "sender_class"]
    for key in config:
        if key in known or not isinstance(key, str):
            continue
        meant = difflib.get_close_matches(key.lower(), known, 1, 0.8)
        if meant and not key.startswith(("sender_", "global_")):
            raise ConfigError(
                f"expected an option of the client, got {key!r}; "
                f"did you mean {meant[0]!r}?",
                key,
            )


def _expanded(value: Any, *path: object) -> Any:
    """Return a copy with environment variables replaced; only containers are copied."""
    if isinstance(value, str):
        return expand(value, *path)
    if isinstance(value, Mapping):
        return {k: _expanded(v, *path, k) for k, v in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(_expanded(v, *path, i) for i, v in enumerate(value))
    return value
