# SPDX-License-Identifier: MPL-2.0
"""Named clients, and what all clients of this process share."""

from __future__ import annotations

from typing import Any

from metlog.client import MetlogClient
from metlog.senders._delivery.process import Lock

__all__ = ["CLIENT_HOLDER", "MetlogClientHolder"]


class MetlogClientHolder:
    """Clients by name. There is one holder, `CLIENT_HOLDER`.

    ``global_config`` applies to all clients; metlog itself reads ``default`` (a
    client's name) and ``disabled_decorators`` (class names) from it.
    """

    def __init__(self) -> None:
        self.global_config: dict[str, Any] = {}
        self._clients: dict[str, MetlogClient] = {}
        self._lock = Lock()

    def get_client(self, name: str) -> MetlogClient:
        """Return the client of that name, the same one in every thread. A new client
        drops everything until it is given a sender. The first becomes the default."""
        client = self._clients.get(name)
        if client is None:
            with self._lock.here:
                client = self._clients.get(name)
                if client is None:
                    client = MetlogClient(None, name)
                    _keep_name(client, name)
                    if not self._clients and not self.global_config.get("default"):
                        self.global_config["default"] = name
                    self._clients[name] = client
        return client

    def set_client(self, name: str, client: MetlogClient) -> None:
        """Register a client of yours as ``name``; if it is the only one, it becomes the
        default."""
        _keep_name(client, name)
        with self._lock.here:
            self._clients[name] = client
            if len(self._clients) == 1:
                self.global_config["default"] = name

    def set_default_client_name(self, name: str | None) -> None:
        """Say which client is the `default_client`; None for no client."""
        self.global_config["default"] = name

    @property
    def default_client(self) -> MetlogClient | None:
        """The client for decorators that were given none; None if there is none yet."""
        name = self.global_config.get("default")
        return None if name is None else self._clients.get(name)

    def delete_client(self, name: str) -> None:
        """Forget a client, if there is one. The client itself keeps working."""
        with self._lock.here:
            self._clients.pop(name, None)
            if self.global_config.get("default") == name:
                del self.global_config["default"]


CLIENT_HOLDER = MetlogClientHolder()


def _keep_name(client: object, name: str) -> None:
    if not isinstance(client, MetlogClient):
        return  # a test double
    client._name = name  # noqa: SLF001  # for pickle
    if client._remake is None:  # noqa: SLF001
        client._remake = named  # noqa: SLF001


def named(name: str | None, config: str | None) -> MetlogClient:
    """Return the client of that name in this process: unpickles a client."""
    return CLIENT_HOLDER.get_client(name or "")
