# SPDX-License-Identifier: MPL-2.0
"""A module of a site's own, which is imported where its variable is not."""

import os

TOKEN = os.environ["METLOG_TEST_NO_SUCH_VARIABLE"]
