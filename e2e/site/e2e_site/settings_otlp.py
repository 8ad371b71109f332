# SPDX-License-Identifier: MPL-2.0
"""The same site for StatsD and an OpenTelemetry collector, side by side."""

from __future__ import annotations

import os

from e2e_site.settings import *  # noqa: F403

METLOG = {
    "logger": "e2e_site",
    "sender": {
        "class": "metlog.senders.FanOutSender",
        "routes": [
            {
                "sender": {
                    "class": "metlog.senders.StatsdSender",
                    "port": int(os.environ["STATSD_PORT"]),
                },
                "types": ["counter", "timer", "gauge", "histogram"],
            },
            {
                "sender": {
                    "class": "metlog.senders.OtlpSender",
                    "endpoint": os.environ["OTLP_ENDPOINT"],
                    "interval": 1.0,
                },
            },
        ],
    },
}
