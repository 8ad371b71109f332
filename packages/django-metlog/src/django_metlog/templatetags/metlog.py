# SPDX-License-Identifier: MPL-2.0
"""``{% load metlog %}``: the script that reports a page's load."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

__all__ = ["register", "stick"]

register: template.Library = template.Library()


@register.simple_tag(takes_context=True)
def stick(context: template.Context, vitals: bool = False) -> SafeString:
    """A script tag that reports to this site's record view, without inline code.

    ``{% stick vitals=True %}`` reports Core Web Vitals as well. The tag carries the
    request's CSP nonce if there is one. Raises `NoReverseMatch` when the URLconf does
    not include ``django_metlog.urls``.
    """
    nonce = _nonce(context)
    return format_html(
        '<script src="{}" data-url="{}" defer{}></script>',
        static("stick-vitals.js" if vitals else "stick.js"),
        reverse("django_metlog.record"),
        format_html(' nonce="{}"', nonce) if nonce else "",
    )


def _nonce(context: template.Context) -> str:
    """From Django's CSP middleware (6.0), or django-csp's; empty without either.

    Django writes the nonce into the header once somebody has asked for its text.
    """
    nonce: Any = context.get("csp_nonce")  # Django's context processor
    # A RequestContext knows its request without the context processor, too.
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
