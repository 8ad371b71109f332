# SPDX-License-Identifier: MPL-2.0
"""A patch of a library that is not installed."""

import no_such_package  # type: ignore[import-not-found]  # noqa: F401


def patch() -> None: ...


def unpatch() -> None: ...
