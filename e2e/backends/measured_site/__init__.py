# SPDX-License-Identifier: MPL-2.0
"""The site of e2e/site, with pages whose measurements are known in advance."""
