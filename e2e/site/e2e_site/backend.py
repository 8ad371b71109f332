# SPDX-License-Identifier: MPL-2.0
"""The settings of `make demo-graphite` and `make demo-prometheus`: those of the site,
with a real backend."""

from __future__ import annotations

import json
import os

from e2e_site.settings import *  # noqa: F403
from metlog.config import client_from_dict_config

METLOG = client_from_dict_config(
    {"logger": "e2e_site", "sender": json.loads(os.environ["SITE_SENDER"])}
)
# The panel draws what production says of the same keys.
TOOLBAR_METLOG = json.loads(os.environ["SITE_TOOLBAR"])
