# SPDX-License-Identifier: MPL-2.0
"""INI lines → the dict that `metlog.config` makes clients from.

Values are converted: whole numbers become ints and ``true t on yes false f off no``
become bools, unless the option is always text (`TEXTS`: a host stays a host even if it
looks like a number). Several lines make a list. ``${NAME}`` is that environment
variable, and is converted the same way; ``%(option)s`` is another option. A ``;`` after
a blank begins a comment. Names of options are read in lower case, but not those of
fields and labels.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from metlog.exceptions import ConfigError, EnvironmentNotFoundError

__all__ = ["TEXTS", "expand", "nest_prefixes", "read", "refuse_both"]

TEXTS = frozenset(
    (
        *("class", "filepath", "host", "hosts", "logger", "name", "names", "path"),
        *("prefix", "provider", "timers", "types"),
    )
)
"""Options whose name ends in one of these words are never converted."""

_WORDS = {
    **dict.fromkeys(("true", "t", "on", "yes"), True),
    **dict.fromkeys(("false", "f", "off", "no"), False),
}


def read(
    stream: Iterable[str], section: str
) -> tuple[dict[str, Any], Callable[..., str]]:
    """Return the configuration, and a function that says where a part of it is."""
    if isinstance(stream, (str, bytes)) or not isinstance(stream, Iterable):
        raise ConfigError(
            f"expected lines, such as an open file's, got {type(stream).__name__}"
        )
    parser, spelled = _parsed(stream)
    sections = parser.sections()
    if section not in sections:
        found = ", ".join(f"[{name}]" for name in sections) or "no section at all"
        raise ConfigError(f"expected section [{section}], got {found}")
    _refuse_mistyped(parser, section)
    config: dict[str, Any] = _options(parser, section)
    ours = _Sections(section, sections)
    rules = {label: _rule(parser, spelled, name) for label, name in ours.rules.items()}
    ours.rules_of_routes = [_labels_of_rules(parser, n, rules) for n in ours.routes]
    ours.refuse_options(config)
    if ours.routes:
        routes = [_route(parser, name) for name in ours.routes]
        for route, labels in zip(routes, ours.rules_of_routes, strict=True):
            if labels:
                route["metrics"] = [rules[label] for label in labels]
        config["sender"] = {"routes": routes}
    if ours.own_rules:
        config["metrics"] = [rules[label] for label in ours.own_rules]
    if f"{section}_fields" in sections:
        config["fields"] = _texts(parser, spelled, f"{section}_fields")
    config["filters"] = [_provided(parser, name) for name in ours.filters]
    config["plugins"] = {
        label: _provided(parser, name) for label, name in ours.plugins.items()
    }
    nest_prefixes(config)
    return config, ours.place


class _Sections:
    """The sections that belong to one client, by what they are in its dict."""

    def __init__(self, section: str, names: Iterable[str]) -> None:
        self._section = section
        self.filters: list[str] = []
        self.plugins: dict[str, str] = {}
        self.routes: list[str] = []
        self.rules: dict[str, str] = {}
        for name in names:
            if name.startswith(f"{section}_filter"):
                self.filters.append(name)
            elif name.startswith(f"{section}_plugin"):
                self.plugins[name.replace(f"{section}_plugin_", "")] = name
            elif name.startswith(f"{section}_route_"):
                self.routes.append(name)
            elif name.startswith(f"{section}_rule_"):
                self.rules[name.removeprefix(f"{section}_rule_")] = name
        self.rules_of_routes: list[list[str]] = []
        """The labels of the rules that each route names."""

    @property
    def own_rules(self) -> list[str]:
        """The labels of the rules that no route names, which are the client's."""
        routed = {label for labels in self.rules_of_routes for label in labels}
        return [label for label in self.rules if label not in routed]

    def refuse_options(self, config: Mapping[str, Any]) -> None:
        """Raise for an option that has to be sections, or options with a prefix."""
        section = self._section
        in_routes = self.routes and f"it in sections [{section}_route_…]"
        for option, expected in (
            ("filters", f"it in sections [{section}_filter_…]"),
            ("plugins", f"it in sections [{section}_plugin_…]"),
            ("metrics", f"it in sections [{section}_rule_…]"),
            ("fields", f"it in section [{section}_fields]"),
            ("sender", in_routes),
            ("sender_routes", in_routes),
            ("sender", "options with that prefix, such as sender_class"),
            ("global", "options with that prefix"),
        ):
            if expected and option in config:
                raise ConfigError(
                    f"expected {expected}, got an option; remove it",
                    f"section [{section}], option {option!r}",
                )

    def place(self, *path: Any) -> str:
        """Return where in the file a part of the client's dict is."""
        where = self._section
        match path:
            case ("filters", index, *rest):
                where, option = self.filters[index], _of_provider(*rest)
            case ("plugins", label, *rest):
                where, option = self.plugins[label], _of_provider(*rest)
            case ("sender", "routes", int() as route, "metrics", int() as index, *rest):
                where = self.rules[self.rules_of_routes[route][index]]
                option = _of_rule(*rest)
            case ("metrics", int() as index, *rest):
                where, option = self.rules[self.own_rules[index]], _of_rule(*rest)
            case ("fields", *rest):
                where, option = f"{where}_fields", rest[0] if rest else ""
            case ("sender", "routes", *rest):
                names = self.routes or [f"{where}_route_…"]
                where, option = _of_route(names, *rest)
            case ("sender" | "global" as prefix, key, *_):
                option = f"{prefix}_{key}"
            case ("sender" | "global",):
                option = ""
            case _:
                option = path[0]
        return f"section [{where}]" + (f", option {option!r}" if option else "")


def nest_prefixes(
    config_dict: MutableMapping[str, Any],
    prefixes: Iterable[str] | None = None,
    separator: str = "_",
) -> MutableMapping[str, Any]:
    """Copy ``sender_host`` to ``["sender"]["host"]``, for each of ``prefixes``
    (by default ``sender`` and ``global``). Changes the dict and returns it."""
    for prefix in ("sender", "global") if prefixes is None else prefixes:
        start = prefix + separator
        nested = {
            key[len(start) :]: value
            for key, value in config_dict.items()
            if str(key).startswith(start)
        }
        if nested:
            config_dict[prefix] = {**(config_dict.get(prefix) or {}), **nested}
    return config_dict


def refuse_both(config: Mapping[str, Any]) -> None:
    """Raise if an option is written with and without its prefix, and they differ."""
    for prefix in ("sender", "global"):
        nested = config.get(prefix)
        for key, value in nested.items() if isinstance(nested, Mapping) else ():
            option = f"{prefix}_{key}"
            if option in config and config[option] != value:
                raise ConfigError(  # without the values, which may be secrets
                    f"expected the option here or as {key!r} in {prefix!r}, got both, "
                    "which differ; remove one of them",
                    option,
                )


def expand(text: str, *path: object) -> str:
    """Return ``text``, found at ``path``, with each ``${NAME}`` replaced by that
    environment variable."""

    def variable(found: re.Match[str]) -> str:
        name = found[1]
        if name not in os.environ:
            raise EnvironmentNotFoundError(name, *path)
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", variable, text)


def _parsed(stream: Iterable[str]) -> tuple[Any, Any]:
    """Return two parsers: the second lists options as they are spelled in the file, the
    first in lower case."""
    import configparser  # takes 5 ms, which only INI users should pay

    parser = configparser.ConfigParser(inline_comment_prefixes=(";",))
    spelled = configparser.ConfigParser(inline_comment_prefixes=(";",))
    spelled.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        lines = list(stream)
        if not all(isinstance(line, str) for line in lines):
            raise ConfigError("expected lines of text, got bytes; open it as text")
        parser.read_file(lines, source=getattr(stream, "name", "INI text"))
        spelled.read_file(lines)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(
            f"expected an INI file, got one with a mistake: {_one_line(error)}"
        ) from error
    return parser, spelled


def _options(parser: Any, section: str) -> dict[str, Any]:
    options = {}
    for option in parser.options(section):
        where = f"section [{section}], option {option!r}"
        text = _written(parser, section, option, where)
        options[option] = _convert(option, text, where)
    return options


def _written(parser: Any, section: str, option: str, where: str) -> str:
    import configparser

    try:
        text: str = parser.get(section, option)
    except configparser.Error as error:
        raise ConfigError(_one_line(error), where) from error
    return text


def _provided(parser: Any, section: str) -> tuple[str, dict[str, Any]]:
    options = _options(parser, section)
    if "provider" not in options:
        raise ConfigError(
            "expected the dotted name of a function, got nothing",
            f"section [{section}], option 'provider'",
        )
    return options.pop("provider"), options


def _route(parser: Any, section: str) -> dict[str, Any]:
    options = _options(parser, section)
    options.pop("rules", None)
    route = {k: v for k, v in options.items() if not k.startswith("sender_")}
    return {**route, "sender": nest_prefixes(options).get("sender", {})}


def _labels_of_rules(
    parser: Any, section: str, rules: Mapping[str, object]
) -> list[str]:
    """Return the rules that a route names, in its order."""
    if not parser.has_option(section, "rules"):
        return []
    where = f"section [{section}], option 'rules'"
    labels = expand(_written(parser, section, "rules", where), where).split()
    for label in labels:
        if label not in rules:
            known = ", ".join(rules) or "none"
            raise ConfigError(
                f"expected rules that have a section ({known}), got {label!r}", where
            )
    return labels


def _rule(parser: Any, spelled: Any, section: str) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    labels = {}
    for option, text in _texts(parser, spelled, section).items():
        if option.lower().startswith("label_"):
            labels[option[len("label_") :]] = text
        else:
            rule[option.lower()] = text
    if "drop" in rule:
        rule["drop"] = _options(parser, section)["drop"]
    return {**rule, "labels": labels} if labels else rule


def _texts(parser: Any, spelled: Any, section: str) -> dict[str, str]:
    """Return the options as they are written: a release 1.10 or 007 is text."""
    texts = {}
    for option in spelled.options(section):
        where = f"section [{section}], option {option!r}"
        text = _written(parser, section, option, where)
        texts[option] = "" if text == '""' else expand(text, where)
    return texts


def _refuse_mistyped(parser: Any, section: str) -> None:
    kinds = ("filter", "plugin", "route", "rule")
    sections = parser.sections()
    for name in sections:
        meant_name = re.sub("[-:. ]", "_", name)
        if not meant_name.startswith(f"{section}_"):
            continue
        word, _, label = meant_name.removeprefix(f"{section}_").partition("_")
        if meant_name != name:
            if word == "fields" or (label and word in kinds):
                raise ConfigError(
                    f"no such section; did you mean [{meant_name}]?",
                    f"section [{name}]",
                )
            continue
        # One with a sender is the section of another client.
        if word in {"sender", "global"} and not (
            label or parser.has_option(name, "sender_class")
        ):
            raise ConfigError(
                f"no such section; write {word}_… = … in section [{section}]",
                f"section [{name}]",
            )
        if word in {"metric", "metrics"} and f"{section}_{word}" not in sections:
            word = "rules"  # as a dict has them
        meant = difflib.get_close_matches(word, kinds, 1, 0.8)
        known = word in {"route", "rule"} or word.startswith(("filter", "plugin"))
        if word == "field" and not label:
            raise ConfigError(
                f"no such section; did you mean [{section}_fields]?",
                f"section [{name}]",
            )
        if not label and meant and meant[0] in {"route", "rule"}:
            raise ConfigError(
                f"no such section; did you mean [{section}_{meant[0]}_…]?",
                f"section [{name}]",
            )
        if label and meant and not known:
            raise ConfigError(
                f"no such section; did you mean [{section}_{meant[0]}_{label}]?",
                f"section [{name}]",
            )


def _of_provider(where: object = None, option: object = "", *_: object) -> object:
    """Return the option: 0 is the provider, 1 its options."""
    return "provider" if where == 0 else option


def _of_rule(option: object = "", label: object = "", *_: object) -> object:
    return f"label_{label}" if option == "labels" and label else option


def _of_route(
    sections: list[str], index: object = 0, *steps: object
) -> tuple[str, str]:
    option = "" if steps == ("sender",) else "_".join(map(str, steps[:2]))
    if not isinstance(index, int) or index >= len(sections):
        index = 0  # somebody else's sender, whose routes are of another kind
    return sections[index], option


def _convert(option: str, text: str, where: str) -> Any:
    lines = [expand(line.strip(), where) for line in text.split("\n")]
    if option.rpartition("_")[2] in TEXTS:
        values: list[Any] = [line for line in lines if line]
    else:
        values = [_value(line) for line in lines if line]
    if "\n" in text:
        return values
    return values[0] if values else ""


def _value(text: str) -> object:
    if text == '""':  # this is how to write an empty text
        return ""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    # 007 and 1_000 are text: as ints they would read back differently
    if re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text):
        return int(text)
    return text


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
