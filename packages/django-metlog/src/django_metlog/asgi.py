# SPDX-License-Identifier: MPL-2.0
"""For ``asgi.py``: send what metlog holds before the server ends.

uvicorn, alone, with ``--workers`` or as gunicorn's worker, ends itself with the signal
that stopped it, so Python runs no exit handlers. But before that it announces its end
by ASGI's lifespan protocol, which Django does not support.
https://asgi.readthedocs.io/en/latest/specs/lifespan.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.wsgi import WSGIHandler

from django_metlog import _app_check, conf

__all__ = ["flush_at_shutdown"]

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""Takes scope, receive and send, for which each server and type checker has types."""


def flush_at_shutdown(application: Application) -> Application:
    """Return ``application``, which has no lifespan of its own, with one that flushes.

    The flush comes after all requests have been answered, and the server waits for it.
    Raises `ImproperlyConfigured` for a METLOG that cannot work.
    """
    if not callable(application) or isinstance(application, WSGIHandler):
        raise TypeError(
            "flush_at_shutdown: expected an ASGI application, "
            f"got {application!r:.100}; write flush_at_shutdown(get_asgi_application())"
        )
    conf.client()
    _app_check.look_once()

    async def flushing(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await sync_to_async(conf.client_or_inert().flush, thread_sensitive=False)()
        await send({"type": "lifespan.shutdown.complete"})

    return flushing
