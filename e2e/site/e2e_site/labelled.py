# SPDX-License-Identifier: MPL-2.0
"""The site's settings for DogStatsD: names with tags."""

from __future__ import annotations

import os

from e2e_site.settings import *  # noqa: F403
from metlog.config import client_from_dict_config

METLOG = client_from_dict_config(
    {
        "sender": {
            "class": "metlog.senders.StatsdSender",
            "dialect": "dogstatsd",
            "host": os.environ["STATSD_HOST"],
            "port": int(os.environ["STATSD_PORT"]),
        }
    }
)
