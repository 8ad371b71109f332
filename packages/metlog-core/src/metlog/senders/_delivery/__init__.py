# SPDX-License-Identifier: MPL-2.0
"""Delivery: what all senders are built on.

Forks, exit, locks and deadlines (`process`), background threads (`worker`), queues
(`queue`), sockets (`socket`), pacing (`pacing`), taking turns (`turns`) and checks of
options (`options`). No sender has a thread, a lock, a tally or a fork check of its own.
"""

__all__: list[str] = []
