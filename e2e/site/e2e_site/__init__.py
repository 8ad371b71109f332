# SPDX-License-Identifier: MPL-2.0
"""The site that `make demo` starts and the browser tests open: an ordinary project."""
