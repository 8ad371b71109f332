# SPDX-License-Identifier: MPL-2.0
"""Metrics of a Django site: requests, queries, cache, tasks, errors, browsers.

``from django_metlog import client`` is the site's metlog client, from the setting
``METLOG``: ``client.incr("cart.full")``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django_metlog._exclusion import exclude

if TYPE_CHECKING:
    from metlog import MetlogClient

    client: MetlogClient

__all__ = ["client", "exclude"]

# Both packages have a folder metlog: removing the old one removes files of the new one.
if find_spec("metlog.client") is None:
    raise ImportError(
        "expected metlog-core in the package metlog, got one without metlog.client; "
        "was metlog-py uninstalled after metlog-core was installed? Then run "
        "pip install --force-reinstall --no-deps metlog-core"
    )


def __getattr__(name: str) -> Any:
    """Make the client when it is first used: importing reads no setting.

    Without a working METLOG it drops everything, so that commands run; a server refuses
    to start.
    """
    if name != "client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from django_metlog import _app_check, conf

    _app_check.look_once()
    return conf.client_or_inert()
