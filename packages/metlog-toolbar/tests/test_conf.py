# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from base64 import b64decode

import pytest
from django.utils.functional import SimpleLazyObject, lazy

from metlog import MetlogClient
from metlog.senders import FanOutSender, NoSendSender, PrometheusSender
from metlog_toolbar import conf

AMO = {
    "graphite": "https://graphite-phx.mozilla.org/render/",
    "roots": {
        "timers": ["stats.timers.addons-dev", "stats.timers.addons"],
        "counts": ["stats.addons-dev", "stats.addons"],
    },
}


URL = "https://ann:s3cret@here/render"


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
    assert production.url == "http://here/render"
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
        (
            {"prometheus": "ftp://here/"},
            "'prometheus'] must be the http or https URL",
        ),
        ({"prometheus": ["http://here"]}, "http or https URL"),
        (
            {"prometheus": "http://me:secret@here/?a=b"},
            "without a query, got '***@",
        ),
        (
            {"prometheus": "http://here", "graphite": "http://here"},
            "must have graphite or prometheus, got both",
        ),
        ({"roots": ["stats"]}, "must be a dict with the key timers"),
        ({"roots": {"timer": ["stats"]}}, "must be a dict with the key timers"),
        ({"roots": {"timers": "stats"}}, "must be a list of strings"),
        ({"roots": {"timers": [7]}}, "must be a list of strings"),
        ({"duplicates": "many"}, "must be a whole number above 0"),
        ({"duplicates": 0}, "must be a whole number above 0"),
        ({"names": "tags"}, "'names'] must be 'dotted', 'labels' or 'semconv', got"),
        ({"names": ["labels"]}, "must be 'dotted', 'labels' or 'semconv', got ['"),
        ({"prefix": 7}, "'prefix'] must be text to put before every name, got 7"),
        ({"prefix": None}, "'prefix'] must be text"),
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


def refuse(*args):
    raise RuntimeError("not now")


@pytest.mark.parametrize(
    "make",
    [
        lambda: SimpleLazyObject(refuse),
        lazy(refuse, str),
        lazy(refuse, dict),
        lambda: {"graphite": SimpleLazyObject(refuse)},
        lambda: {"graphite": lazy(refuse, str)()},
        lambda: {"prometheus": SimpleLazyObject(refuse)},
        lambda: {"prometheus": "http://here", "prefix": SimpleLazyObject(refuse)},
        lambda: {"names": SimpleLazyObject(refuse)},
        lambda: {"roots": SimpleLazyObject(refuse)},
        lambda: {"roots": {"timers": [SimpleLazyObject(refuse)]}},
        lambda: {"roots": {"counts": lazy(refuse, list)()}},
        lambda: {"duplicates": SimpleLazyObject(refuse)},
    ],
)
@pytest.mark.parametrize("name", ["TOOLBAR_METLOG", "TOOLBAR_STATSD"])
def test_what_raises_when_it_is_read(settings, name, make):
    """As a lazy object does that cannot be made: a problem, and no production."""
    setattr(settings, name, make())
    for _ in range(2):  # Django itself inspects it at the second time
        [problem] = conf.problems()
        assert problem == (
            f"{name} must be a dict without what cannot be read, "
            "got something that raises RuntimeError('not now')."
        )
        assert conf.production() is None
        assert conf.duplicates() == conf.DUPLICATES


PROMETHEUS = {"prometheus": "http://here:9090"}


def spelled(settings, client, **more):
    settings.METLOG = client
    settings.TOOLBAR_METLOG = PROMETHEUS | more
    assert conf.problems() == []
    spelling = conf.production().spelling
    return spelling.shape.names, spelling.prefix, len(spelling.rules)


def test_prometheus_is_asked_as_the_sites_sender_spells(settings):
    """What PrometheusSender is configured with need not be said again."""
    sender = PrometheusSender(prefix="my_", names="semconv")
    routes = [{"sender": NoSendSender()}, {"sender": sender, "metrics": []}]

    assert spelled(settings, MetlogClient(sender, "x")) == ("semconv", "my_", 1)
    fan = MetlogClient(FanOutSender(routes), "x")
    assert spelled(settings, fan) == ("semconv", "my_", 2)
    assert spelled(settings, MetlogClient(NoSendSender(), "x")) == ("labels", None, 1)
    for other in ({}, None, "shop.metlog"):
        assert spelled(settings, other) == ("labels", None, 0)


def test_the_setting_says_how_production_spells(settings):
    """For a site that has another sender on one's own computer."""
    client = MetlogClient(PrometheusSender(prefix="my_", names="semconv"), "x")

    assert spelled(settings, client, prefix="")[:2] == ("semconv", "")
    assert spelled(settings, client, names="dotted")[:2] == ("dotted", "my_")
    both = {"prefix": "shop_", "names": "semconv"}
    assert spelled(settings, None, **both)[:2] == ("semconv", "shop_")


@pytest.mark.parametrize(
    ("user", "pair"),
    [
        ("ann:secret", "ann:secret"),
        ("ann:", "ann:"),
        ("ann", "ann:"),
        (":secret", ":secret"),
        ("ann:s%40cret%3A", "ann:s@cret:"),
        ("ann:s@cret", "ann:s@cret"),
        ("ann:s:c", "ann:s:c"),
        ("%C3%A4nn:%C3%BC", "änn:ü"),
        ("änn:ü", "änn:ü"),
        ("ann:secr%et", "ann:secr%et"),
    ],
)
@pytest.mark.parametrize("host", ["graphite.example", "here:8080", "[::1]:80"])
def test_basic_authentication(settings, user, pair, host):
    """A user and password in the URL become a header, and are in nothing one sees."""
    settings.TOOLBAR_METLOG = {"graphite": f"https://{user}@{host}/render?tz=UTC"}

    production = conf.production()
    assert production.url == f"https://{host}/render?tz=UTC"
    kind, _, encoded = production.authorization.partition(" ")
    assert (kind, b64decode(encoded).decode()) == ("Basic", pair)
    assert encoded not in repr(production)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ann:secret@here/render",
        "ann:secret@here/render",
        "https://ann:secret@",
        "https//ann:secret@here",
        "http://ann:secret@[/",
        ["http://ann:secret@here/"],
        b"http://ann:secret@here/",
    ],
)
def test_a_wrong_url_with_a_password(settings, url):
    """The complaint about a URL that cannot work does not repeat its password."""
    settings.TOOLBAR_METLOG = {"graphite": url}

    [problem] = conf.problems()
    assert "http or https URL" in problem
    assert "secret" not in problem


@pytest.mark.parametrize(
    "value",
    [
        URL,
        [URL],
        [{"graphite": URL}],
        ({"graphite": URL},),
        {URL: 1},
        {"roots": URL},
        {"roots": [URL]},
        {"roots": {"timers": URL}},
        {"roots": {"timers": {"user": "s3cret"}}},
        {"graphite": {"url": URL}},
        {"graphite": ("https://here/", "ann", "s3cret")},
        {"graphite": "here/render?token=s3cret"},
        {"prometheus": {"url": "https://here/", "token": "s3cret"}},
        {"prometheus": "https://ann:s3cret@here/?token=s3cret"},
        {"prefix": {"user": "s3cret"}},
        {"names": {"user": "s3cret"}},
        {"duplicates": "password=s3cret"},
    ],
)
def test_a_password_in_the_wrong_place(settings, value):
    """Neither does the complaint about anything else."""
    settings.TOOLBAR_METLOG = value

    [problem] = conf.problems()
    assert "s3cret" not in problem
