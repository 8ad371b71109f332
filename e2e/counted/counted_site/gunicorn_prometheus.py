# SPDX-License-Identifier: MPL-2.0
"""gunicorn's configuration, as in prometheus_client's documentation."""

from __future__ import annotations

from typing import Any

from prometheus_client import multiprocess


def child_exit(server: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.pid)
