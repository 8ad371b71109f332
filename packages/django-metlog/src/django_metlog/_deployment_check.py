# SPDX-License-Identifier: MPL-2.0
"""System checks for what is fine in development but wrong in public (``--deploy``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as Caution
from django.urls import NoReverseMatch, reverse

from django_metlog import conf
from metlog.senders import DebugCaptureSender, NoSendSender, prometheus

__all__ = ["check_deployment"]


def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """Check what is fine in development but wrong in public. Loads the URLconf."""
    found = [*_server_timing(), *_open_record_view(), *_open_metrics_view()]
    if conf.why_invalid(conf.SETTINGS["METLOG"]) is None:  # else E001 or W017 says it
        found += [*_empty_metrics_view(), *_workers_apart(), *_no_delivery()]
    return found


def _server_timing() -> Iterator[CheckMessage]:
    if conf.read(conf.SETTINGS["METLOG_SERVER_TIMING"]) is True:
        yield Caution(
            "METLOG_SERVER_TIMING is True: every visitor is told how long the site's "
            "views, queries and cache calls took.",
            hint=(
                "Let a function decide: METLOG_SERVER_TIMING = "
                "lambda request: request.user.is_staff"
            ),
            id="django_metlog.W006",
        )


def _open_record_view() -> Iterator[CheckMessage]:
    if conf.read(conf.SETTINGS["METLOG_RECORD_GUARD"]) is not None:
        return
    address = _address("django_metlog.record")
    if address is None:
        return
    yield Caution(
        f"METLOG_RECORD_GUARD is not set: anybody may report timings to {address}, "
        "and as many as they like.",
        hint=(
            "Write METLOG_RECORD_GUARD = all_of(same_origin, rate_limit(50)), with "
            "from django_metlog.guards import all_of, rate_limit, same_origin"
        ),
        id="django_metlog.W007",
    )


def _open_metrics_view() -> Iterator[CheckMessage]:
    address = _address("django_metlog.metrics")
    if address and conf.read(conf.SETTINGS["METLOG_METRICS_GUARD"]) is None:
        yield Caution(
            f"METLOG_METRICS_GUARD is not set: only INTERNAL_IPS may read {address}, "
            "everybody with DEBUG, and nobody through a proxy.",
            hint=(
                'Write METLOG_METRICS_GUARD = bearer(os.environ["METRICS_TOKEN"]), '
                "with from django_metlog.guards import bearer"
            ),
            id="django_metlog.W011",
        )


def _empty_metrics_view() -> Iterator[CheckMessage]:
    address = _address("django_metlog.metrics")
    if address and prometheus.find(conf.client_or_inert()) is None:
        yield Caution(
            f"{address} has nothing to show: METLOG has no PrometheusSender.",
            hint=(
                "Write METLOG = {'sender': {'class': "
                "'metlog.senders.PrometheusSender'}}, or add it as a route of a "
                "FanOutSender."
            ),
            id="django_metlog.W013",
        )


def _address(name: str) -> str | None:
    if not conf.has_urlconf():
        return None
    try:
        return reverse(name)
    except NoReverseMatch:  # it is not in the URLconf
        return None


def _workers_apart() -> Iterator[CheckMessage]:
    sender = prometheus.find(conf.client_or_inert())
    if sender is None or sender.directory is not None or not sender.has_siblings():
        return
    yield Caution(
        "METLOG's PrometheusSender has no directory, and there are several workers: "
        "each scrape gets the numbers of one of them.",
        hint=(
            "Give all workers one empty folder: 'directory': '/run/shop/metlog', or "
            "set PROMETHEUS_MULTIPROC_DIR."
        ),
        id="django_metlog.W012",
    )


def _no_delivery() -> Iterator[CheckMessage]:
    sender = conf.client_or_inert().sender
    if isinstance(sender, (NoSendSender, DebugCaptureSender)):
        keeps = isinstance(sender, DebugCaptureSender)
        yield Caution(
            f"METLOG's sender is a {type(sender).__name__}, which "
            f"{'keeps' if keeps else 'drops'} everything: nothing is delivered.",
            hint=(
                "Configure another: METLOG = {'sender': {'class': "
                "'metlog.senders.StatsdSender', 'host': '127.0.0.1', 'port': 8125}}"
            ),
            id="django_metlog.W008",
        )
