# SPDX-License-Identifier: MPL-2.0
"""Work without a web server: multiprocessing and Celery's tasks.

``python -m counted_site.work fork 400`` counts that often in four children.
"""

from __future__ import annotations

import multiprocessing
import os
import sys

from counted_site import clients

CHILDREN = 4
count = clients.counter()


def many(number: int) -> None:
    for _ in range(number):
        count()


def main(method: str, number: int) -> None:
    context = multiprocessing.get_context(method)
    children = [
        context.Process(target=many, args=(number // CHILDREN,))
        for _ in range(CHILDREN)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()


if broker := os.environ.get("COUNTED_BROKER"):
    from celery import Celery
    from celery.signals import worker_process_init

    app = Celery("counted", broker=broker, backend=broker)
    app.conf.broker_connection_retry_on_startup = True
    # On a busy machine a child needs longer than 4 s to say that it is there.
    app.conf.worker_proc_alive_timeout = 60.0
    if os.environ.get("COUNTED_HAS_HOOK"):

        @worker_process_init.connect(weak=False)
        def set_up(**kwargs: object) -> None:
            clients.opentelemetry_sdk()

    @app.task(name="one")
    def one() -> int:
        count()
        return 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
