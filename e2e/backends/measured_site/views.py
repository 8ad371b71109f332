# SPDX-License-Identifier: MPL-2.0
"""Each page records what its URL says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpResponse

if TYPE_CHECKING:
    from django.http import HttpRequest

ODD_NAMES = (
    *("a b:c|d@e#f", "köln.straße", "数.字", "😀", ".leads", "trails.", "two..dots"),
    *("GET/page?x=1&y=2", "line\nfeed:1|c", "tab\there", "nul\0here", "x" * 300),
    *("per%cent", "semi;colon=1", "{curly}", "*", "~", "$(id)", "`id`", "back\\slash"),
    *('quote"here', "it's", "-", "1", "UPPER.lower", "<b>", "[0]", "a,b", "a=b"),
)
ODD_FIELDS: tuple[dict[str, Any], ...] = (
    {"k|ey": "v,al:ue#1", "ключ": "two\nlines", "": "no key", "empty": ""},
    {"none": None, "yes": True, "number": 1.5, "big": 10**30, "list": [1, 2]},
    {"host": "other", "device": "d", "le": "1", "__name__": "x", "quantile": "0.5"},
)


def steps(request: HttpRequest, number: int) -> HttpResponse:
    """One counter, one that adds 512, and a timer of ``number`` milliseconds."""
    metlog = settings.METLOG
    metlog.incr("steps.done")
    metlog.incr("steps.bytes", 512)
    metlog.timer_send("steps.took", number)
    metlog.gauge("steps.level", number)
    return HttpResponse("ok")


def spread(request: HttpRequest, name: str) -> HttpResponse:
    """Each whole number of milliseconds from 1 to 100, once."""
    for number in range(1, 101):
        settings.METLOG.timer_send(name, number)
    settings.METLOG.flush()
    return HttpResponse("ok")


def odd(request: HttpRequest) -> HttpResponse:
    """Whatever a name or a tag may hold, and in the end an ordinary counter."""
    metlog = settings.METLOG
    for name in ODD_NAMES:
        metlog.incr(f"odd.{name}")
        metlog.timer_send(name, 2, fields=dict(ODD_FIELDS[0]))
    for fields in ODD_FIELDS:
        metlog.incr("odd.tagged", fields=dict(fields))
    metlog.incr("odd.after")
    return HttpResponse("ok")


def tick(request: HttpRequest, name: str) -> HttpResponse:
    settings.METLOG.incr(f"tick.{name}")
    return HttpResponse("ok")
