# SPDX-License-Identifier: MPL-2.0
"""How long the body of a streaming response takes: ``view.stream``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from metlog.handles import TimerHandle

__all__ = ["time_body"]


def time_body(
    request: HttpRequest, response: HttpResponseBase, timer: TimerHandle, begun: float
) -> None:
    """Send ``view.stream`` when the server closes the response, however it ended.

    Under WSGI the body itself stays untouched: a file must remain a file for
    ``wsgi.file_wrapper``. Under ASGI Django does not close a response whose body
    raised, so there it is watched as well.
    """
    close = response.close
    running = [True]

    def end() -> None:
        if running:
            running.clear()
            timer.between(begun, perf_counter())

    def timed_close() -> None:
        try:
            close()
        finally:
            end()

    response.close = timed_close  # type: ignore[method-assign]
    if isinstance(request, ASGIRequest):
        body: Any = response
        file = getattr(body, "file_to_stream", None)
        watched = _awatched if getattr(body, "is_async", False) else _watched
        body.streaming_content = watched(body.streaming_content, end)
        if file is not None:  # a FileResponse forgets its file with its content
            body.file_to_stream = file


def _watched(parts: Iterator[bytes], end: Callable[[], None]) -> Iterator[bytes]:
    try:
        yield from parts
    except BaseException:
        end()
        raise


async def _awatched(
    parts: AsyncIterator[bytes], end: Callable[[], None]
) -> AsyncIterator[bytes]:
    try:
        async for part in parts:
            yield part
    except BaseException:
        end()
        raise
