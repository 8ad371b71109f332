# SPDX-License-Identifier: MPL-2.0
"""The delivery room: what every sender stands on.

How a process lives (`process`), who works in the background (`worker`), what waits
(`queue`), where it goes (`socket`), how fast (`pacing`), and what options may be
(`options`). No sender keeps a thread, a lock, a tally or a fork check of its own.
"""

__all__: list[str] = []
