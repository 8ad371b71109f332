# SPDX-License-Identifier: MPL-2.0
"""Delivery: what all senders are built on.

Forks, exit, locks and deadlines (`process`), background threads (`worker`), counts
(`tally`), queues (`queue`), sockets (`socket`), pacing (`pacing`), taking turns
(`turns`), one process of a host (`host_lock`) and checks of options (`options`). No
sender has a thread, a lock, a count or a fork check of its own.
"""

__all__: list[str] = []
