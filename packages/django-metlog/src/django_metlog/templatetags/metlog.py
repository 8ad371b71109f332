# SPDX-License-Identifier: MPL-2.0
"""``{% load metlog %}``: the script that reports page loads."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from metlog.diagnostics import Diagnostics

__all__ = ["register", "stick"]

register: template.Library = template.Library()

RECORD_VIEW = "path('services/timing/', include('django_metlog.urls'))"
"""What the URLconf needs for `stick`."""

_diagnostics = Diagnostics("django-metlog")


@register.simple_tag(takes_context=True)
def stick(
    context: template.Context,
    vitals: bool = False,
    visits: bool = False,
    errors: bool = False,
    attribution: bool = False,
    fields: str = "",
    sample: float | None = None,
) -> SafeString:
    """Write a script tag that reports to this site's record view, without inline code.

    It reports page loads. With ``vitals=True`` it also reports Core Web Vitals, with
    ``visits=True`` page swaps of htmx and Turbo, with ``errors=True`` how many errors
    of each kind, with ``attribution=True`` what caused the web vitals.
    ``fields="device_type connection"`` adds those fields to reports, ``sample=0.1``
    reports one page in ten.

    The tag has the request's CSP nonce if there is one. If the URLconf does not include
    ``django_metlog.urls``, or the script is not among the static files, it writes
    nothing and says so on stderr.
    """
    try:
        record = reverse("django_metlog.record")
    except NoReverseMatch:
        _diagnostics.report(
            "{% stick %} writes nothing",
            f"add to urlpatterns, without a namespace: {RECORD_VIEW}",
        )
        return SafeString("")
    more = {"visits": visits, "errors": errors, "attribution": attribution}
    if fields or any(more.values()):
        script = "stick-all.js"
        more["vitals"] = vitals
    else:
        script = "stick-vitals.js" if vitals else "stick.js"
    try:
        source = static(script)
    except Exception as error:  # a storage with a manifest, in which it is not yet
        _diagnostics.report(
            "{% stick %} writes nothing", f"{error}; run manage.py collectstatic"
        )
        return SafeString("")
    attributes = [("nonce", nonce)] if (nonce := _nonce(context)) else []
    attributes += [(f"data-{name}", "true") for name, wanted in more.items() if wanted]
    if fields:
        attributes.append(("data-fields", fields))
    # Templates take "" for an unknown variable, and of the share "" nobody is reported.
    if sample is not None and str(sample):
        attributes.append(("data-sample", str(sample)))
    return format_html(
        '<script src="{}" data-url="{}" defer{}></script>',
        source,
        record,
        format_html_join("", ' {}="{}"', attributes),
    )


def _nonce(context: template.Context) -> str:
    """Return the nonce of Django's CSP middleware (6.0) or of django-csp, or nothing.

    Django puts the nonce into the header only if something has asked for its text.
    """
    nonce: Any = context.get("csp_nonce")  # Django's context processor
    # A RequestContext knows its request even without the context processor.
    request = getattr(context, "request", None) or context.get("request")
    if nonce is None and isinstance(request, HttpRequest):
        try:
            from django.middleware.csp import get_nonce
        except ImportError:  # Django 5.2
            pass
        else:
            nonce = get_nonce(request)
        if nonce is None:
            nonce = getattr(request, "csp_nonce", None)
    return "" if nonce is None else str(nonce)
