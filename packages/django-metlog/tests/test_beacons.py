# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reports import BOOMERANG, LOAD, LOADED, REDIRECTS, TIMING, TYPE

from django_metlog import _beacons
from django_metlog._beacons import BadReportError, Measurement, Report

KEYS = [
    f"{TIMING}domComplete",
    f"{TIMING}domInteractive",
    f"{TIMING}domLoading",
    REDIRECTS,
    TYPE,
]


def read(fields: dict[str, str], keys: list[str] = KEYS) -> Report:
    return _beacons.read({name: [value] for name, value in fields.items()}, keys)


def values(report: Report) -> dict[str, int]:
    return {
        one.name.removeprefix("window.performance."): one.value
        for one in report.measurements
    }


def without(fields: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name not in names}


def test_stick() -> None:
    """A report of stick becomes the five default keys and the four calculated spans."""
    report = read(LOAD)
    assert values(report) == LOADED
    assert report.rejected == 0
    kinds = {one.name.split(".")[2]: one.kind for one in report.measurements}
    assert kinds == {"navigation": "counter", "timing": "timer", "calculated": "timer"}


def test_stick_with_epoch_times() -> None:
    """Milliseconds since 1970, as the original's stick sent them, mean the same."""
    start = 1795471830860
    epoch = {
        name: str(int(value) + start) if name.startswith(TIMING) else value
        for name, value in LOAD.items()
    }
    assert read(epoch) == read(LOAD)


def test_boomerang() -> None:
    """A report of boomerang becomes the same, from its own names."""
    assert values(read(BOOMERANG)) == {
        "timing.domComplete": 274,
        "timing.domInteractive": 175,
        "timing.domLoading": 108,
        "navigation.redirectCount": 2,
        "navigation.type.navigate": 1,
        "calculated.network": 88,
        "calculated.app": 20,
        "calculated.dom": 166,
        "calculated.rendering": 2,
    }


@pytest.mark.parametrize("milestone", sorted(_beacons.BOOMERANG))
def test_every_milestone_of_boomerang(milestone: str) -> None:
    """Each Navigation Timing milestone can be asked for."""
    fields = {**BOOMERANG, _beacons.BOOMERANG[milestone]: "1795470835458"}
    assert values(read(fields, [TIMING + milestone]))[f"timing.{milestone}"] == 300


def test_keys_choose_what_is_recorded() -> None:
    """Record keys filter milestones and navigation, not what is calculated."""
    fields = {**LOAD, f"{TIMING}connectEnd": "12"}
    assert values(read(fields, [f"{TIMING}connectEnd"])) == {
        "timing.connectEnd": 12,
        "calculated.network": 95,
        "calculated.app": 15,
        "calculated.dom": 140,
        "calculated.rendering": 1,
    }


@pytest.mark.parametrize("client", [None, "", "no", "stick,boomerang", "Stick"])
def test_unknown_client(client: str | None) -> None:
    """A report that does not say who made it is bad."""
    fields = {} if client is None else {"client": client}
    with pytest.raises(BadReportError, match="client=stick or boomerang"):
        read({**without(LOAD, "client"), **fields})


def test_client_twice() -> None:
    """Query and body may both name the client, if they agree."""
    fields = {name: [value] for name, value in LOAD.items()}
    assert _beacons.sender({**fields, "client": ["stick", "stick"]}) == "stick"
    with pytest.raises(BadReportError):
        _beacons.sender({**fields, "client": ["stick", "boomerang"]})


NOT_A_NUMBER = [
    "",
    " 1",
    "1_000",
    "1e3",
    "1e999",
    "nan",
    "inf",
    "0x10",
    "<alert>",
    "[1]",
    "\N{ARABIC-INDIC DIGIT ONE}",
]


@pytest.mark.parametrize("value", NOT_A_NUMBER)
@pytest.mark.parametrize(
    "name",
    [
        f"{TIMING}navigationStart",
        f"{TIMING}domLoading",
        f"{TIMING}loadEventEnd",
        REDIRECTS,
        "activationStart",
        "CLS",
    ],
)
def test_stick_field_that_is_no_number(name: str, value: str) -> None:
    """One field of stick's that is no number, and the whole report is bad."""
    with pytest.raises(BadReportError, match=f"{name} must be a number"):
        read({**LOAD, name: value})


@pytest.mark.parametrize("value", ["", "<alert>", "1_000", "nan()", "re load"])
def test_stick_type_that_is_no_type(value: str) -> None:
    """The navigation type is a number or a word; all else is a bad report."""
    with pytest.raises(BadReportError, match="navigation type"):
        read({**LOAD, TYPE: value})


@pytest.mark.parametrize("name", [f"{TIMING}domLoading", REDIRECTS, TYPE, "LCP"])
def test_stick_field_twice(name: str) -> None:
    """A field of stick's that came twice makes the report bad."""
    fields = {name: [value] for name, value in LOAD.items()}
    with pytest.raises(BadReportError, match=f"{name} came 2 times"):
        _beacons.read({**fields, name: ["1", "1"]}, KEYS)


def test_foreign_fields() -> None:
    """A site's own fields are nobody's business, whatever they hold, how often ever."""
    fields = {name: [value] for name, value in LOAD.items()}
    foreign = {"build": ["x", "y"], f"{TIMING}connectEnd": ["junk"], "nt_nav_st": ["-"]}
    assert _beacons.read({**fields, **foreign}, KEYS) == read(LOAD)


def test_stick_without_start() -> None:
    """Times mean nothing without the start they count from."""
    with pytest.raises(BadReportError, match="navigationStart"):
        read(without(LOAD, f"{TIMING}navigationStart"))
    with pytest.raises(BadReportError, match="navigationStart"):
        read({"client": "stick"})


@pytest.mark.parametrize("value", ["-1", "3600001", "9" * 400])
def test_impossible_time(value: str) -> None:
    """A time before the start, or after an hour, is dropped and counted; alone."""
    report = read({**LOAD, f"{TIMING}domInteractive": value})
    assert report.rejected == 1
    expected = values(read(LOAD))
    del expected["timing.domInteractive"]
    assert values(report) == expected


def test_an_hour() -> None:
    """An hour is still possible."""
    report = read({**LOAD, f"{TIMING}domInteractive": "3600000"})
    assert values(report)["timing.domInteractive"] == 3_600_000


@pytest.mark.parametrize("value", ["-1", "21", "2.5", "9" * 400])
def test_impossible_redirect_count(value: str) -> None:
    """No browser follows more than 20 redirects, or a part of one."""
    report = read({**LOAD, REDIRECTS: value})
    assert report.rejected == 1
    assert "navigation.redirectCount" not in values(report)


def test_start_before_time() -> None:
    """Without a possible start there are no times; the load still counts."""
    report = read({**LOAD, f"{TIMING}navigationStart": "-1"})
    assert report.rejected == 1
    assert values(report) == {
        "navigation.redirectCount": 0,
        "navigation.type.reload": 1,
    }


@pytest.mark.parametrize("digits", [16, 25, 308, 309, 400])
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("fraction", ["", ".5"])
def test_start_beyond_time(digits: int, sign: str, fraction: str) -> None:
    """A start of more than 15 digits is rejected once, with all that came with it."""
    start = f"{sign}{'9' * digits}{fraction}"
    vitals = {"LCP": "-1", "INP": "100"}
    assert read({**LOAD, **vitals, f"{TIMING}navigationStart": start}) == Report(
        rejected=1
    )
    beyond = {**BOOMERANG, "nt_nav_st": start, "nt_red_cnt": "-1"}
    assert read(beyond) == Report(rejected=1)


def test_start_of_fifteen_digits() -> None:
    """Fifteen digits are a time, if a late one."""
    start = 10**15 - 1000
    times = {n: str(start + int(v)) for n, v in LOAD.items() if n.startswith(TIMING)}
    assert read({**LOAD, **times}) == read(LOAD)


@pytest.mark.parametrize(
    "value", ["", "-5", "1795472812.06", "undefined", "1e999", "9" * 16, "NaN"]
)
def test_boomerang_value_that_is_no_whole_number(value: str) -> None:
    """Of boomerang only that value is dropped, and counted."""
    report = read({**BOOMERANG, "nt_domint": value})
    assert report.rejected == 1
    assert values(report) == {
        name: ms
        for name, ms in values(read(BOOMERANG)).items()
        if name != "timing.domInteractive"
    }


def test_boomerang_parameter_twice() -> None:
    """A parameter of boomerang's that came twice says nothing."""
    fields = {name: [value] for name, value in BOOMERANG.items()}
    report = _beacons.read(
        {**fields, "nt_domint": ["1", "2"], "nt_nav_type": ["0", "1"]}, KEYS
    )
    assert report.rejected == 2


@pytest.mark.parametrize("name", ["domLoading", "domInteractive", "domComplete"])
def test_not_reached(name: str) -> None:
    """0 or absent is a milestone that was not reached: no time, nothing rejected."""
    for fields in ({**LOAD, TIMING + name: "0"}, without(LOAD, TIMING + name)):
        report = read(fields)
        assert f"timing.{name}" not in values(report)
        assert report.rejected == 0


@pytest.mark.parametrize("change", [{f"{TIMING}loadEventEnd": "0"}, {"partial": "1"}])
def test_load_that_was_left(change: dict[str, str]) -> None:
    """Browsers set domComplete on leaving: it counts only for a load that ended."""
    left = values(read({**LOAD, **change}))
    assert left.keys() == {
        "timing.domInteractive",
        "timing.domLoading",
        "navigation.redirectCount",
        "navigation.type.reload",
        "calculated.network",
        "calculated.app",
    }


def test_stick_without_load_event_end() -> None:
    """The original's stick did not send loadEventEnd; its domComplete is believed."""
    assert (
        values(read(without(LOAD, f"{TIMING}loadEventEnd")))["timing.domComplete"]
        == 250
    )


def test_boomerang_without_load_event_end() -> None:
    """boomerang leaves out what is 0, so an absent one means that the load was left."""
    for fields in (
        without(BOOMERANG, "nt_load_end"),
        {**BOOMERANG, "nt_load_end": "0"},
        {**BOOMERANG, "rt.quit": "", "rt.abld": "", "nt_load_end": "0"},
    ):
        assert "timing.domComplete" not in values(read(fields))
        assert "timing.domInteractive" in values(read(fields))


@pytest.mark.parametrize(
    "fields", [{**LOAD, "hidden": "1"}, {**BOOMERANG, "vis.st": "hidden"}]
)
def test_hidden(fields: dict[str, str]) -> None:
    """A load in a hidden tab is counted, and kept out of the timers."""
    report = read(fields)
    assert {one.kind for one in report.measurements} == {"counter"}
    assert values(report)["hidden"] == 1


@pytest.mark.parametrize(
    "fields",
    [
        {**LOAD, TYPE: "255", "activationStart": "2192"},
        {**LOAD, TYPE: "prerender"},
        {**BOOMERANG, "nt_act_st": "1795470837350"},
    ],
)
def test_prerendered(fields: dict[str, str]) -> None:
    """A prerendered load counts under its own type, and is kept out of the timers."""
    report = read(fields)
    redirects = 2 if fields["client"] == "boomerang" else 0
    assert values(report) == {
        "navigation.redirectCount": redirects,
        "navigation.type.prerender": 1,
    }


def test_shown_before_the_start() -> None:
    """No page is shown before its navigation starts: that is dropped and counted."""
    for shown in ("-1", "-0.5", "-" + "9" * 400):
        report = read({**LOAD, "activationStart": shown})
        assert report == read(LOAD)._replace(rejected=1)
    for shown in ("0", "-0", "0.0"):
        assert read({**LOAD, "activationStart": shown}) == read(LOAD)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("0", "navigate"),
        ("1", "reload"),
        ("2", "back_forward"),
        ("255", "reserved"),
        ("7", "reserved"),
        ("-1", "reserved"),
        ("navigate", "navigate"),
        ("back_forward", "back_forward"),
        ("back-forward", "back_forward"),
        ("soft-navigation", "reserved"),
        ("undefined", "reserved"),
    ],
)
def test_types(value: str, name: str) -> None:
    """Types come as Level 1's numbers or Level 2's words; unknown ones are reserved."""
    for fields in ({**LOAD, TYPE: value}, {**BOOMERANG, "nt_nav_type": value}):
        assert values(read(fields))[f"navigation.type.{name}"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"nt_nav_st": ""},
        {"nt_nav_st": "0"},
        {"early": "1"},
        {"rt.quit": ""},
        {"http.initiator": "xhr"},
        {"http.initiator": "spa"},
        {"http.initiator": "spa_hard", "nt_nav_st": ""},
        {"http.initiator": "spa_hard", "early": "1"},
        {"http.initiator": "spa_hard", "rt.quit": ""},
        {"http.initiator": "SPA_HARD"},
        {"http.initiator": "bfcache"},
    ],
)
def test_boomerang_beacons_that_are_no_load(change: dict[str, str]) -> None:
    """Leaving, early, XHR, SPA and bfcache beacons are taken and record nothing."""
    assert read({**BOOMERANG, **change}) == Report()
    assert read({"client": "boomerang"}) == Report()


def test_first_view_of_a_single_page_site() -> None:
    """With autorun off boomerang reports the load as spa_hard: that is the load."""
    spa = {**BOOMERANG, "http.initiator": "spa_hard"}
    assert read(spa) == read(BOOMERANG)
    fields = {name: [value] for name, value in spa.items()}
    twice = {**fields, "http.initiator": ["spa_hard", "xhr"]}
    assert _beacons.read(twice, KEYS) == Report()


def test_boomerang_relative_to_a_tiny_start() -> None:
    """Any start will do; the original's own tests used 1."""
    fields = {"client": "boomerang", "nt_nav_st": "1", "nt_domint": "3"}
    assert read(fields).measurements == (
        Measurement("timer", f"{TIMING}domInteractive", 2),
    )


def test_calculated_below_zero() -> None:
    """A span that would be negative is dropped and counted, not sent as 0."""
    report = read({**LOAD, f"{TIMING}responseStart": "120"})
    assert report.rejected == 1
    assert "calculated.app" not in values(report)
    assert values(report)["calculated.network"] == 120


def test_vitals() -> None:
    """Web vitals come alone, when the page is hidden; CLS is sent times 1000."""
    vitals = {
        "LCP": "1204.5",
        "CLS": "0.0834",
        "INP": "48",
        "FCP": "300.2",
        "TTFB": "0",
    }
    report = read({"client": "stick", **vitals})
    assert report.rejected == 0
    assert report.measurements == tuple(
        Measurement("timer", f"window.performance.vitals.{name}", value)
        for name, value in {
            "LCP": 1205,
            "CLS": 83,
            "INP": 48,
            "FCP": 300,
            "TTFB": 0,
        }.items()
    )


@pytest.mark.parametrize("value", ["-0.1", "3600001", "9" * 400])
def test_impossible_vital(value: str) -> None:
    """A vital that cannot be is dropped and counted."""
    assert read({"client": "stick", "INP": value}) == Report(rejected=1)


def test_view() -> None:
    """The view that the page says it came from is handed on, to be checked."""
    assert read({**LOAD, "view": "shop.views.basket"}).view == "shop.views.basket"
    fields = {name: [value] for name, value in LOAD.items()}
    assert _beacons.read({**fields, "view": ["a", "b"]}, KEYS).view == ""


@pytest.mark.parametrize("fields", [LOAD, BOOMERANG])
def test_sent_while_prerendering(fields: dict[str, str]) -> None:
    """A report from a page that nobody has seen is a prerendered load's."""
    once = {name: [value] for name, value in fields.items()}
    report = _beacons.read(once, KEYS, prerendering=True)
    assert [one.name for one in report.measurements] == [REDIRECTS, f"{TYPE}.prerender"]


@pytest.mark.parametrize(
    ("sample", "share"),
    [
        ("0.1", 0.1),
        ("0.01", 0.01),
        ("1", 1),
        ("0.25", 0.25),
        ("0.009", 1),
        ("0", 1),
        ("-0.5", 1),
        ("1.01", 1),
        ("9" * 400, 1),
        ("nan", 1),
        ("1e-1", 1),
        ("half", 1),
        ("", 1),
    ],
)
def test_sample(sample: str, share: float) -> None:
    """A report says which share of loads is reported; no share means all."""
    assert read({**LOAD, "sample": sample}).sample == share
    assert read({"client": "stick", "INP": "48", "sample": sample}).sample == share


def test_sample_twice() -> None:
    """Two shares are none."""
    fields = {name: [value] for name, value in LOAD.items()}
    assert _beacons.read({**fields, "sample": ["0.1", "0.1"]}, KEYS).sample == 1


@pytest.mark.parametrize("fields", [LOAD, BOOMERANG])
def test_own_fields(fields: dict[str, str]) -> None:
    """Of a site's own fields those are recorded that it lists, with listed values."""
    lists = {"release": ["1.2", "1.3"], "device_type": ("mobile", "desktop"), "a": []}
    own = {"release": ["1.2"], "device_type": ["toaster"], "a": ["b"], "c": ["d"]}
    once = {name: [value] for name, value in fields.items()}
    assert _beacons.read({**once, **own}, KEYS, lists).own == {"release": "1.2"}
    twice = {"release": ["1.2", "1.3"], "device_type": ["mobile"]}
    report = _beacons.read({**once, **twice}, KEYS, lists)
    assert report.own == {"device_type": "mobile"}
    assert _beacons.read({**once, **own}, KEYS).own == {}


MILESTONES = [TIMING + milestone for milestone in _beacons.BOOMERANG]
IMPOSSIBLE = st.one_of(
    st.integers(max_value=-1).map(str),
    st.integers(min_value=_beacons.MAX_MS + 1).map(str),
    st.sampled_from(["-0.5", "3600000.5", "000003600001", "9" * 15, "9" * 5000]),
)


@given(
    st.lists(st.integers(1, 5000), min_size=20, max_size=20).map(sorted),
    st.sampled_from([*MILESTONES, REDIRECTS, *_beacons.VITALS]),
    IMPOSSIBLE,
)
def test_one_impossible_value(times: list[int], name: str, value: str) -> None:
    """It costs itself and what is calculated with it, and is counted once."""
    fields = {
        **LOAD,
        **{name: str(ms) for name, ms in zip(MILESTONES, times, strict=True)},
        **dict.fromkeys(_beacons.VITALS, "1"),
    }
    keys = [*MILESTONES, REDIRECTS, TYPE]
    whole, report = read(fields, keys), read({**fields, name: value}, keys)
    assert (whole.rejected, report.rejected) == (0, 1)
    short = name.removeprefix("window.performance.")
    lost = {short, f"vitals.{name}"}
    for span, milestones in _beacons.CALCULATED.items():
        if short.removeprefix("timing.") in milestones:
            lost.add(f"calculated.{span}")
    assert values(report) == {
        name: ms for name, ms in values(whole).items() if name not in lost
    }


NUMBERS = st.one_of(
    st.integers(-10, 4_000_000).map(str),
    st.floats().map(str),
    st.sampled_from([*NOT_A_NUMBER, "9" * 400, "-" + "9" * 400]),
    st.text(max_size=5),
)
NAMES = st.sampled_from(
    [
        *LOAD,
        *BOOMERANG,
        *_beacons.VITALS,
        "activationStart",
        "partial",
        "hidden",
        "view",
        "sample",
        "release",
        "vis.st",
        "early",
        "rt.quit",
        "rt.abld",
        "http.initiator",
        "nt_act_st",
        "",
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["stick", "boomerang"]),
    st.dictionaries(NAMES, st.lists(NUMBERS, min_size=1, max_size=3)),
)
def test_whatever_comes(client: str, fields: dict[str, list[str]]) -> None:
    """Junk is a bad report or leaves only what can be: nothing negative, no hours."""
    try:
        report = _beacons.read(
            {**fields, "client": [client]}, KEYS, {"release": ["1", "2"]}
        )
    except BadReportError:
        assert client == "stick"
        return
    for one in report.measurements:
        assert one.name.startswith("window.performance.")
        assert isinstance(one.value, int)
        assert 0 <= one.value <= _beacons.MAX_MS
    assert len({one.name for one in report.measurements}) == len(report.measurements)
    assert report.rejected <= len(fields) + len(_beacons.CALCULATED)
    assert 0.01 <= report.sample <= 1
    assert set(report.own.values()) <= {"1", "2"}
