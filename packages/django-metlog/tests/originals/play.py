# SPDX-License-Identifier: MPL-2.0
"""A shop that each of the originals can measure, and django-metlog too.

python play.py django_statsd           # django-statsd-mozilla 0.3 or 0.4
python play.py django_metlog_mozilla   # django-metlog-mozilla 0.1
python play.py django_statsd_3         # django-statsd 3, which is another one
python play.py django_metlog METLOG_HISTORIC_NAMES
python play.py django_prometheus
python play.py django_metlog SCRAPED

Prints as JSON what each thing that happens in the shop sent, in lines of StatsD, or
how much it added to what Prometheus scrapes. The files beside this one are what it
printed with the originals. It runs on Python 2.7 and Django 1.4, and so is written as
one wrote then.
"""

import json
import logging
import os
import platform
import socket
import sys

import django
from django.conf import settings

SOCKET = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
END = "end:1|c"
"""The last line of what an event sent. All of it was sent before, from this machine."""

GRAPHITE = ("GraphiteRequestTimingMiddleware", "GraphiteMiddleware")


def main(original, *switches):
    SOCKET.bind(("127.0.0.1", 0))
    SOCKET.settimeout(60)
    configure(original, SOCKET.getsockname()[1], switches)
    if hasattr(django, "setup"):
        django.setup()
    sent = {}
    for name, event in events():
        received()
        event()
        sent[name] = received()
    shown = {"with": versions(), "sent": sent}
    print(json.dumps(shown, indent=1, sort_keys=True, separators=(",", ": ")))


def configure(original, port, switches):
    """Have this one measure, and say all that it can."""
    package = "django_" + original.split("_")[1]
    more = {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": port, "SCRAPED": False}
    more.update(dict.fromkeys(switches, True))
    middleware, last, records = GRAPHITE, [], ""
    cache = "django.core.cache.backends.locmem.LocMemCache"
    database = "django.db.backends.sqlite3"
    if original == "django_statsd_3":
        more["STATSD_TRACK_DATABASE"] = True
        middleware = ["StatsdMiddleware"]
    elif original == "django_prometheus":
        more["SCRAPED"] = True
        middleware, last = ["PrometheusBeforeMiddleware"], ["PrometheusAfterMiddleware"]
        cache = "django_prometheus.cache.backends.locmem.LocMemCache"
        database = "django_prometheus.db.backends.sqlite3"
    else:
        more["STATSD_PATCHES"] = [package + ".patches.db", package + ".patches.cache"]
        if more["SCRAPED"]:
            more["STATSD_PATCHES"].append(package + ".patches.templates")
        more["STATSD_MODEL_SIGNALS"] = more["STATSD_CELERY_SIGNALS"] = True
        if original != "django_statsd" or django.VERSION < (4,):  # its URLs need less
            records = package + ".urls"
    if package == "django_metlog":
        sender = {"class": "metlog.senders.StatsdSender"}
        if original == "django_metlog_mozilla":
            sender = {"class": "metlog.senders.udp.UdpSender"}
        sender.update(host="127.0.0.1", port=port)
        if more["SCRAPED"]:
            sender = {"class": "metlog.senders.PrometheusSender"}
        more["METLOG"] = made({"sender": sender})
    middleware = [package + ".middleware." + name for name in middleware]
    middleware += [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    middleware += [package + ".middleware." + name for name in last]
    more.update(
        ALLOWED_HOSTS=["*"],
        CACHES={"default": {"BACKEND": cache}, "sessions": {"BACKEND": cache}},
        DATABASES={
            "default": {"ENGINE": database, "NAME": ":memory:"},
            "archive": {"ENGINE": database, "NAME": os.devnull},
            "lost": {"ENGINE": database, "NAME": os.devnull + "/lost"},
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "shop",
            package,
        ],
        MIDDLEWARE=middleware,
        MIDDLEWARE_CLASSES=middleware,
        RECORDS=records,
        ROOT_URLCONF="shop.urls",
        SECRET_KEY="a shop's",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"page.html": "a page"},
                        )
                    ]
                },
            }
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    )
    settings.configure(**more)


def made(config):
    """A client, as all of them take it."""
    from metlog.config import client_from_dict_config

    return client_from_dict_config(config)


def versions():
    """What this ran with."""
    found = ["Python " + platform.python_version(), "Django " + django.get_version()]
    if "celery.app" in sys.modules:
        found.append("Celery " + sys.modules["celery"].__version__)
    return ", ".join(found)


def received():
    """What came since, sorted: they come in any order."""
    client = getattr(settings, "METLOG", None)
    if hasattr(client, "flush"):
        client.flush(60)
    if settings.SCRAPED:
        return scraped(client)
    SOCKET.sendto(END.encode(), SOCKET.getsockname())
    lines = []
    while END not in lines:
        lines += [as_statsd(line) for line in SOCKET.recv(65536).decode().splitlines()]
    return sorted(lines[:-1])


def as_statsd(line):
    """The line, or what metlog-py's message says in one."""
    if not line.startswith("{"):
        return line
    message = json.loads(line)
    kind = {"counter": "c", "timer": "ms"}[message["type"]]
    return message["fields"]["name"] + ":" + message["payload"] + "|" + kind


SUMS = {}
"""What was scraped last, by name and labels."""


def scraped(client):
    """What has risen since: counts of what happened, without sums and buckets."""
    from prometheus_client import generate_latest
    from prometheus_client.parser import text_string_to_metric_families

    if client is None:
        text = generate_latest()
    else:
        from metlog.senders.prometheus import exposition

        text = exposition(client)[0]
    risen = {}
    for family in text_string_to_metric_families(text.decode()):
        for name, labels, value in (sample[:3] for sample in family.samples):
            if name.startswith("django_") and not name.endswith(("_sum", "_bucket")):
                key = name, tuple(labels.items())
                if value > SUMS.get(key, 0) and not name.endswith("_created"):
                    risen[name] = risen.get(name, 0) + value - SUMS.get(key, 0)
                SUMS[key] = value
    return sorted("%s:%d" % item for item in risen.items())  # noqa: UP031


def events():
    """What happens in the shop: a name, and what to call."""
    from django.contrib.auth.models import User
    from django.core import cache
    from django.core.management import call_command
    from django.db import connection, transaction
    from django.test.client import Client
    from shop.models import OrderItem

    if django.VERSION < (1, 7):
        call_command("syncdb", interactive=False, verbosity=0)
    else:
        call_command("migrate", interactive=False, verbosity=0, run_syncdb=True)
    count_errors(settings.INSTALLED_APPS[-1])
    User.objects.create_user("anna", "a@example.com", "secret")
    client, anna = Client(), Client()
    assert anna.login(username="anna", password="secret")

    def survived(error, send, *arguments):
        try:  # noqa: SIM105  # of Python 2
            send(*arguments)
        except error:  # as Django's client does, after the response
            pass

    yield "a page", lambda: client.get("/page")
    yield "a form", lambda: client.post("/page", {"a": "1"})
    yield "a class-based view", lambda: client.get("/cart")
    yield "no such page", lambda: client.get("/nothing")
    yield "a view that raises Http404", lambda: client.get("/gone")
    yield "a view that raises PermissionDenied", lambda: client.get("/forbidden")
    yield "a view that fails", lambda: survived(ZeroDivisionError, client.get, "/fails")
    yield "a user whom the view asks for", lambda: anna.get("/who")
    yield "a user whom nobody asks for", lambda: anna.get("/page")

    def execute(sql):
        connection.cursor().execute(sql)

    def inserts():
        sql = "INSERT INTO shop_orderitem (title) VALUES (%s)"
        connection.cursor().executemany(sql, [("a",), ("b",)])

    def nested():
        with transaction.atomic(), transaction.atomic():
            execute("SELECT 1")

    yield "a select", lambda: execute("SELECT 1")
    yield "a select in lower case", lambda: execute("select 1")
    yield "a commented select", lambda: execute("/* why */ SELECT 1")
    yield "a pragma", lambda: execute("PRAGMA user_version")
    yield "many inserts", inserts
    if hasattr(transaction, "atomic"):
        yield "a transaction in a transaction", nested
    yield "an object created", lambda: OrderItem(title="Emma").save()
    yield "an object updated", lambda: OrderItem.objects.get(title="Emma").save()
    yield "an object deleted", lambda: OrderItem.objects.get(title="Emma").delete()

    yield "a cache's set", lambda: cache.cache.set("a", 1)
    yield "a cache's get", lambda: cache.cache.get("a")
    yield "a cache's get_many", lambda: cache.cache.get_many(["a", "b"])
    yield "a cache's delete", lambda: cache.cache.delete("a")
    if hasattr(cache, "caches"):
        yield "another cache's get", lambda: cache.caches["sessions"].get("a")

    try:
        from celery import Celery
    except ImportError:
        pass
    else:
        bill = task(Celery("shop", broker="memory://", set_as_current=False))
        yield "a task sent", lambda: bill.apply_async((1,))
        yield "a task done", lambda: bill.apply((1,))
        yield "a task that fails", lambda: bill.apply((0,))

    if settings.RECORDS:
        yield "stick", lambda: record(client.post, stick())
        # django-metlog-mozilla subtracts texts.
        yield "boomerang", lambda: survived(TypeError, record, client.get, boomerang())
    if hasattr(settings, "STATSD_PATCHES"):
        yield "statsd_ping", lambda: call_command("statsd_ping", key="deployed")

    if settings.SCRAPED:
        for event in of_todays_django(client, survived):  # noqa: UP028
            yield event


def of_todays_django(client, survived):
    """What django-prometheus measures besides, and no older original does."""
    from django.db import DatabaseError, IntegrityError, connection, connections
    from shop.models import OrderItem

    def execute(sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)

    def connect(alias):
        connections[alias].close()
        connections[alias].ensure_connection()

    def twice():
        OrderItem.objects.create(id=7)
        OrderItem.objects.bulk_create([OrderItem(id=7)])

    yield "a streamed page", lambda: list(client.get("/export").streaming_content)
    yield "a template", lambda: client.get("/template")
    yield "a template rendered by a function", lambda: client.get("/rendered")
    yield (
        "an ajax request",
        lambda: client.get("/page", HTTP_X_REQUESTED_WITH="XMLHttpRequest"),
    )
    yield "a connection", lambda: connect("archive")
    yield "a connection that fails", lambda: survived(DatabaseError, connect, "lost")
    yield (
        "a statement that is wrong",
        lambda: survived(DatabaseError, execute, "SELECT nothing"),
    )
    yield "a row that is there already", lambda: survived(IntegrityError, twice)


def count_errors(package):
    log = logging.getLogger("django.request")
    log.propagate = False
    log.handlers = [logging.NullHandler()]
    if hasattr(settings, "STATSD_PATCHES"):
        name = package + ".loggers.errors"
        log.addHandler(__import__(name, fromlist=["StatsdHandler"]).StatsdHandler())


def task(app):
    @app.task(name="shop.bill")
    def bill(number):
        return 1 // number

    return bill


START = 1352749542384
NAVIGATION = {
    "navigationStart": (0, "nt_nav_st"),
    "fetchStart": (1, "nt_fet_st"),
    "requestStart": (20, "nt_req_st"),
    "responseStart": (100, "nt_res_st"),
    "responseEnd": (120, "nt_res_end"),
    "domLoading": (130, "nt_domloading"),
    "domInteractive": (200, "nt_domint"),
    "domComplete": (500, "nt_domcomp"),
    "loadEventStart": (501, "nt_load_st"),
    "loadEventEnd": (510, "nt_load_end"),
}
"""Milliseconds since the start, and boomerang's name."""


def stick():
    """As the originals' stick.js reports."""
    page = "window.performance."
    report = {
        page + "timing." + name: START + ms for name, (ms, _) in NAVIGATION.items()
    }
    report.update({page + "navigation.redirectCount": 3, page + "navigation.type": 1})
    return dict(report, client="stick")


def boomerang():
    report = {key: START + ms for ms, key in NAVIGATION.values()}
    return dict(report, nt_nav_type=0, nt_red_cnt=1, client="boomerang")


def record(send, report):
    response = send("/timing/record", report)
    assert response.status_code < 300, response.content


if __name__ == "__main__":
    main(*sys.argv[1:])
