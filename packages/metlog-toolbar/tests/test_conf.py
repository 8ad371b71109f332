# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import pytest

from metlog_toolbar import conf

AMO = {
    "graphite": "https://graphite-phx.mozilla.org/render/",
    "roots": {
        "timers": ["stats.timers.addons-dev", "stats.timers.addons"],
        "counts": ["stats.addons-dev", "stats.addons"],
    },
}


def test_original_setting(settings):
    """The setting of the original's page works as it stands."""
    settings.TOOLBAR_STATSD = AMO

    assert conf.problems() == []
    assert conf.production() == conf.Production(
        "https://graphite-phx.mozilla.org/render/",
        ("stats.timers.addons-dev", "stats.timers.addons"),
        ("stats.addons-dev", "stats.addons"),
    )


def test_own_name_wins(settings):
    """TOOLBAR_METLOG is the setting's name; its alias is read in its absence."""
    settings.TOOLBAR_STATSD = AMO
    settings.TOOLBAR_METLOG = {"graphite": "http://here/render", "duplicates": 3}

    production = conf.production()
    assert production is not None
    assert production.graphite == "http://here/render"
    assert conf.duplicates() == 3


@pytest.mark.parametrize("kind", ["timers", "counts"])
def test_one_root(settings, kind):
    """Roots may be given for timers alone, or for counts alone."""
    settings.TOOLBAR_METLOG = {"graphite": "http://here/", "roots": {kind: ["stats"]}}

    production = conf.production()
    assert conf.problems() == []
    assert production is not None
    assert (production.timers or production.counts) == ("stats",)
    assert not (production.timers and production.counts)


def test_no_setting(settings):
    """Without the setting there is no production, and nothing wrong."""
    assert conf.production() is None
    assert conf.problems() == []
    assert conf.duplicates() == conf.DUPLICATES


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "must be a dict"),
        ({"graphite": "file:///etc/passwd"}, "http or https URL"),
        ({"graphite": "graphite.example/render"}, "http or https URL"),
        ({"graphite": "http://[/"}, "http or https URL"),
        ({"graphite": 7}, "http or https URL"),
        ({"roots": ["stats"]}, "must be a dict with the key timers"),
        ({"roots": {"timer": ["stats"]}}, "must be a dict with the key timers"),
        ({"roots": {"timers": "stats"}}, "must be a list of texts"),
        ({"roots": {"timers": [7]}}, "must be a list of texts"),
        ({"duplicates": "many"}, "must be a whole number"),
        ({"duplicates": 0}, "must be a whole number"),
        ({"grafite": "http://here/"}, "'grafite'"),
    ],
)
def test_problems(settings, value, said):
    """What is wrong is said with what is wanted and what came; nothing is asked."""
    settings.TOOLBAR_METLOG = value

    [problem] = conf.problems()
    assert "TOOLBAR_METLOG" in problem
    assert said in problem
    assert conf.production() is None
    assert conf.duplicates() == conf.DUPLICATES
