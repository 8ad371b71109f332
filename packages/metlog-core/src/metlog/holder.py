# SPDX-License-Identifier: MPL-2.0
"""Clients by name, which can be configured at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metlog._registry import CLIENT_HOLDER, MetlogClientHolder
from metlog.client import MetlogClient
from metlog.config import client_from_dict_config
from metlog.exceptions import ConfigError
from metlog.wire.text import outline

__all__ = ["CLIENT_HOLDER", "MetlogClientHolder", "get_client"]


def get_client(name: str, config_dict: Mapping[str, Any] | None = None) -> MetlogClient:
    """Return the client called ``name``, which is also its default ``logger``.

    The same name returns the same client. With ``config_dict`` the client is configured
    again; if that has a ``logger`` other than ``name``, it is a `ConfigError`, a
    ValueError.
    """
    client = CLIENT_HOLDER.get_client(name)
    if not config_dict:
        return client
    if not isinstance(config_dict, Mapping):
        raise ConfigError(f"expected a dict, got {outline(config_dict):.200}", "config")
    logger = config_dict.get("logger")
    if logger and logger != name:
        raise ConfigError(
            f"expected {name!r}, the client's name, or nothing, got {logger!r}",
            *("config", "logger"),
        )
    return client_from_dict_config({**config_dict, "logger": name}, client)
