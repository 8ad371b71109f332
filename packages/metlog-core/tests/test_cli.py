# SPDX-License-Identifier: MPL-2.0
"""python -m metlog: listen, send, bench."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog import MetlogClient
from metlog._cli import main
from metlog._cli.show import as_json, pretty
from metlog.senders import StatsdSender, UdpSender
from metlog.testing import UdpReceiver
from metlog.wire.statsd import Measurement, Unreadable, parse

MESSAGE = {"type": "note", "payload": "hi", "fields": {"a": 1}, "severity": 3}


def test_it_says_its_version(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def say() -> str:
        with pytest.raises(SystemExit) as end:
            main(["--version"])
        assert not end.value.code
        return capsys.readouterr().out

    monkeypatch.setattr(metadata, "version", {"metlog-core": "1.2"}.__getitem__)
    assert say() == "metlog-core 1.2\n"
    missing = mock.Mock(side_effect=metadata.PackageNotFoundError)
    monkeypatch.setattr(metadata, "version", missing)
    assert say() == "metlog-core of unknown version\n"  # run from a folder


# -- what is understood ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("a.b:1|c", Measurement("counter", "a.b", 1, 1.0, {})),
        ("a:-2.5|c|@0.1", Measurement("counter", "a", -2.5, 0.1, {})),
        ("a:12|ms", Measurement("timer", "a", 12, 1.0, {})),
        ("a:+3|g", Measurement("gauge", "a", 3, 1.0, {})),
        ("a:me|s", Measurement("set", "a", "me", 1.0, {})),
        ("a:1|h", Measurement("histogram", "a", 1, 1.0, {})),
        ("a:1|d", Measurement("distribution", "a", 1, 1.0, {})),
        (
            "a:1|c|#m:GET,x:1:2,bare",
            Measurement("counter", "a", 1, 1.0, {"m": "GET", "x": "1:2", "bare": ""}),
        ),
        (json.dumps(MESSAGE), MESSAGE),
        ("garbage", Unreadable("garbage")),
        (":1|c", Unreadable(":1|c")),
        ("a:1|zz", Unreadable("a:1|zz")),
        ("a:x|c", Unreadable("a:x|c")),
        ("a:1|c|@x", Unreadable("a:1|c|@x")),
        ("{:1|ms", Measurement("timer", "{", 1, 1.0, {})),
        ("{", Unreadable("{")),
        ("a:1|ms:", Unreadable("a:1|ms:")),
        ("a:1|ms:2", Unreadable("a:1|ms:2")),
        ("a:1|ms:2|zz", Unreadable("a:1|ms:2|zz")),
        ("a:1:x|ms", Unreadable("a:1:x|ms")),
        ("a:1:|ms", Unreadable("a:1:|ms")),
        ("a:", Unreadable("a:")),
        ("a|b:1|c", Unreadable("a|b:1|c")),
        ('{"type": 1}', Unreadable('{"type": 1}')),
    ],
)
def test_lines_that_are_understood_and_lines_that_are_not(line: str, seen: Any) -> None:
    """StatsD with rates and tags, and metlog messages."""
    assert list(parse(line.encode())) == [seen]


def test_a_datagram_may_hold_many_lines_and_a_line_many_values() -> None:
    """Blank lines and carriage returns are nothing."""
    seen = list(parse(b"a:1|c\r\n\nb:1:2:3|ms|@0.5\n"))
    assert [(m.name, m.value, m.rate) for m in seen if isinstance(m, Measurement)] == [
        *(("a", 1, 1.0), ("b", 1, 0.5), ("b", 2, 0.5), ("b", 3, 0.5))
    ]


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("a:1:2|ms", [("timer", 1, 1.0), ("timer", 2, 1.0)]),
        ("a:1|ms:2|ms", [("timer", 1, 1.0), ("timer", 2, 1.0)]),
        ("a:1|ms:2|c", [("timer", 1, 1.0), ("counter", 2, 1.0)]),
        ("a:1|c|@0.1:2|ms", [("counter", 1, 0.1), ("timer", 2, 1.0)]),
        ("a:1|c|@0.1:2|c|@0.5", [("counter", 1, 0.1), ("counter", 2, 0.5)]),
        ("a:1:2|ms:3|h", [("timer", 1, 1.0), ("timer", 2, 1.0), ("histogram", 3, 1.0)]),
        ("a:0|g:-5|g", [("gauge", 0, 1.0), ("gauge", -5, 1.0)]),
        ("a:x:y|s", [("set", "x", 1.0), ("set", "y", 1.0)]),
    ],
)
def test_values_that_share_a_line(line: str, seen: list[Any]) -> None:
    """Several values of a type, as DogStatsD 1.1, and several types, as StatsD."""
    parsed = list(parse(line.encode()))
    assert [(m.kind, m.value, m.rate) for m in parsed] == seen  # type: ignore[union-attr]
    assert {m.name for m in parsed} == {"a"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "rest",
    [
        "|@0.5|#env:prod|c:83c0a99c|T1656581400",
        "|@0.5|#env:prod|c:in-83c0|e:it-false,cn-web|card:low",
        "|@0.5|c:1|#env:prod",
        "|c:1|#env:prod|@0.5",
    ],
)
def test_parts_of_later_dialects_change_nothing(rest: str) -> None:
    """A container, an origin or a time are no values, wherever they stand."""
    assert list(parse(f"a:1:2|ms{rest}".encode())) == [
        Measurement("timer", "a", value, 0.5, {"env": "prod"}) for value in (1, 2)
    ]


anything = st.one_of(
    st.binary(),
    st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.from_regex(r"[a-z.]*:[-+0-9.e:]*\|[cgmshd]+(\|[@#|].*)?").map(str.encode),
    st.text("a1:|@#,.\n", max_size=30).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps({**MESSAGE, "x": value}).encode()),
    st.fixed_dictionaries(
        {
            key: st.none() | st.text() | st.integers() | st.lists(st.integers())
            for key in ("type", "payload", "severity", "logger")
        }
    ).map(lambda msg: json.dumps({**msg, "fields": {}}).encode()),
)


@given(anything)
def test_any_datagram_can_be_shown(datagram: bytes) -> None:
    """One printable line for people, one JSON object for machines, never an error."""
    for seen in parse(datagram):
        assert pretty(seen).isprintable()
        assert re.sub("\x1b\\[[0-9]+m", "", pretty(seen, colour=True)).isprintable()
        assert isinstance(json.loads(as_json(seen)), dict)
        assert "\n" not in as_json(seen)


@given(
    st.sampled_from(["plain", "dogstatsd"]),
    st.text(min_size=1, max_size=200) | st.text(".", min_size=1, max_size=5),
    st.floats(0, 1e15) | st.integers(0, 10**15),
)
def test_what_our_sender_sends_is_understood(
    dialect: Any, name: str, value: float
) -> None:
    """Every line of a StatsdSender is read back with its value. Only a name of nothing
    but dots has none, and is counted."""
    with UdpReceiver() as receiver:
        sender = StatsdSender(port=receiver.port, dialect=dialect, flush_interval=0)
        client = MetlogClient(sender, "app")
        client.timer_send(name, value, fields={name: name})
        client.close()
        assert receiver.catch_up()
        if not name.strip("."):
            assert (receiver.seen, sender.stats.dropped) == ([], 1)
            return
        (seen,) = receiver.seen
        assert isinstance(seen, Measurement)
        assert seen.value == pytest.approx(value)


def test_how_it_looks_to_people() -> None:
    """Kind, name, value with its unit; rates and fields follow."""
    lines = [
        b"a:2|c",
        b"view.GET:12.5|ms|@0.1|#m:GET",
        b"q:-3|g",
        b'{"type":"timer","payload":"7","fields":{"name":"t","rate":1.0,"x":2}}',
        b'{"type":"note","payload":"hi\\u001b[2J","fields":{"a":1},"logger":"app"}',
        b'{"type":"note","payload":"hi","fields":{},"severity":"bad"}',
        b"\xff",
    ]
    assert [pretty(seen) for line in lines for seen in parse(line)] == [
        "counter   a  +2",
        "timer     view.GET  12.5 ms  @0.1  m=GET",
        "gauge     q  -3",
        "timer     t  7 ms  x=2",
        "note      app  hi\\x1b[2J  a=1",
        "note      bad  hi",
        "unreadable \ufffd",
    ]


# -- listen ----------------------------------------------------------------------------


@contextmanager
def listening(*options: str, **popen: Any) -> Iterator[tuple[Any, int]]:
    """A listener in a process of its own, and its port."""
    command = [sys.executable, "-m", "metlog", "listen", "--port", "0", *options]
    popen = {"stdout": subprocess.PIPE, "text": True, **popen}
    # A shell's background job, and what it starts, ignores Ctrl-C: not this one.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, **popen)
    signal.signal(signal.SIGINT, earlier)
    try:
        said = process.stderr.readline()
        found = re.fullmatch(r"listening on 127\.0\.0\.1:([0-9]+) \(UDP\)\n", said)
        assert found, said
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.mark.services
def test_listen_prints_what_our_senders_send() -> None:
    """Both kinds, on one port, each line as soon as it arrives."""
    with listening() as (process, port):
        client = MetlogClient(UdpSender("127.0.0.1", port), "app")
        client.timer_send("a", 12)
        assert process.stdout.readline() == "timer     a  12 ms\n"
        client.close()
        client.sender = StatsdSender("127.0.0.1", port, flush_interval=0)
        client.incr("b")
        assert process.stdout.readline() == "counter   b  +1\n"
        client.close()


@pytest.mark.services
def test_listen_prints_lines_as_they_were_sent() -> None:
    """``--raw`` shows what is on the wire; only control characters are escaped."""
    with listening("--raw", "--count", "3") as (process, port):
        client = MetlogClient(StatsdSender("127.0.0.1", port, flush_interval=0), "app")
        client.timer_send("view.GET", 12.5)
        client.incr("response.200")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anybody:
            anybody.sendto(b"\x1b[2J\n", ("127.0.0.1", port))
        assert process.stdout.read().splitlines() == [
            "view.GET:12.5|ms",
            "response.200:1|c",
            "\\x1b[2J",
        ]
        client.close()


@pytest.mark.services
def test_listen_for_machines_and_for_so_many_lines() -> None:
    """``--json`` prints messages as they came; ``--count`` ends by itself."""
    with listening("--json", "--count", "2") as (process, port):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for data in (json.dumps(MESSAGE).encode(), b"a:1|c|#x:y\nb:1|c"):
            sender.sendto(data, ("127.0.0.1", port))
        sender.close()
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        MESSAGE,
        {"kind": "counter", "name": "a", "value": 1, "rate": 1.0, "fields": {"x": "y"}},
    ]


@pytest.mark.services
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_listen_ends_well_when_it_is_told_to(end: signal.Signals) -> None:
    """Ctrl-C and SIGTERM: exit code 0, no traceback."""
    with listening() as (process, _):
        process.send_signal(end)
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")


@pytest.mark.services
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_listen_is_coloured_on_a_terminal(no_color: str, coloured: bool) -> None:
    """Unless ``NO_COLOR`` is set."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "NO_COLOR": no_color}
    with listening(stdout=theirs, env=env) as (_, port):
        os.close(theirs)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.sendto(b"a:1|c", ("127.0.0.1", port))
        sender.close()
        line = os.read(ours, 1000).decode()
        os.close(ours)
    assert ("\x1b[32mcounter" in line) == coloured
    assert "+1" in line


@pytest.mark.services
def test_listen_ends_when_nobody_reads_what_it_prints() -> None:
    """``listen | head`` leaves no traceback."""
    with listening() as (process, port):
        process.stdout.close()
        process.stdout = None
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.sendto(b"a:1|c", ("127.0.0.1", port))
        sender.close()
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")


DECLARED = """
from metlog.catalogue import Metric, declare
declare(Metric("k\u00e4se.<sorte>", "counter", "{thing}", "Sold \u2192 gone."))
declare(Metric("response.<status>", "counter", "{response}", "Responses."))
"""

PRINTING = [
    ["mapping", "statsd-exporter"],
    ["mapping", "datadog"],
    ["dashboard", "grafana-prometheus"],
    ["dashboard", "grafana-graphite"],
    ["dashboard", "graphite"],
    ["alerts", "prometheus"],
]


@contextmanager
def printing(arguments: list[str], folder: Path, **options: Any) -> Iterator[Any]:
    """A process that prints what is made of our declarations."""
    (folder / "shop_metrics.py").write_text(DECLARED, encoding="utf-8")
    command = [sys.executable, "-m", "metlog", *arguments, "--declare=shop_metrics"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, **{**pipes, **options}) as process:
        yield process


@pytest.mark.services
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_what_is_printed_for_nobody_is_no_trouble(
    arguments: list[str], tmp_path: Path
) -> None:
    """``dashboard … | head`` leaves no traceback."""
    with printing(arguments, tmp_path) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.services
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_disk_that_is_full_is_told_in_one_line(
    arguments: list[str], tmp_path: Path
) -> None:
    """And by the exit code: what a script has written is not whole."""
    with (
        Path("/dev/full").open("wb") as full,
        printing(arguments, tmp_path, stdout=full) as process,
    ):
        said = process.stderr.read().decode()
    assert re.fullmatch(r"cannot go on: .*No space left on device\n", said)
    assert process.returncode == 1


@pytest.mark.services
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
@pytest.mark.parametrize("arguments", PRINTING[:-1], ids=" ".join)
def test_what_is_printed_into_a_file_is_utf_8(
    arguments: list[str], encoding: str, tmp_path: Path
) -> None:
    """As JSON and YAML are, whatever the system writes otherwise."""
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    with printing(arguments, tmp_path, env=env) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert "k\u00e4se" in out.decode("utf-8")


@pytest.mark.services
@pytest.mark.parametrize("closed", ["stdout", "stderr", "stdout stderr"])
def test_a_command_without_streams_goes_on(closed: str) -> None:
    """A service may be started with none. What belongs on stderr is not on stdout."""
    program = (
        "import os, sys\n"
        f"for name in {closed.split()!r}: os.close(getattr(sys, name).fileno())\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'metlog', *sys.argv[1:]])"
    )
    with UdpReceiver() as receiver:
        port = receiver.port
    command = [*("listen", "--raw", "--count", "1", "--port"), str(port)]
    with subprocess.Popen(
        [sys.executable, "-c", program, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while process.poll() is None:
            sender.sendto(b"a:1|c", ("127.0.0.1", port))
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        sender.close()
        out, err = process.communicate()
    assert process.returncode == 0
    assert out == (b"" if "stdout" in closed else b"a:1|c\n")
    assert err.startswith(b"" if "stderr" in closed else b"listening on ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["listen", "--port", "99999"], "--port: expected a port from 0 to 65535"),
        (
            ["listen", "--port", "-1"],
            "port from 0 to 65535, got '-1'",
        ),
        (
            ["listen", "--count", "0"],
            "expected a whole number from 1, got '0'",
        ),
        (
            ["send", "x", "--port", "1e3"],
            "--port: expected a port from 0 to 65535",
        ),
        (["bench", "localhost", "99999"], "PORT: expected a port from 0 to 65535, got"),
        (
            ["bench", "localhost", "1", "--count", "9.5"],
            "expected a whole number",
        ),
        *(
            (
                ["bench", "localhost", "1", f"--seconds={seconds}"],
                f"--seconds: expected seconds above 0, got '{seconds}'",
            )
            for seconds in ("nan", "-1", "0", "-inf", "soon", "", "1 s")
        ),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Not taken for another: the system makes 34463 of port 99999."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("host", ["a\udcffb", "a" * 64, "a..b", "\ud800"])
@pytest.mark.parametrize(
    "command",
    [
        ["listen", "--host", "HOST"],
        ["watch", "--host", "HOST"],
        ["send", "--incr", "hits", "--host", "HOST"],
        ["send", "--statsd", "--incr", "hits", "--host", "HOST"],
        ["bench", "HOST", "8125"],
        ["bench", "HOST", "8125", "--config", "INI"],
    ],
)
def test_a_host_that_cannot_be_looked_up_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str], host: str
) -> None:
    """With a line that says what was expected. The shell hands over any bytes."""
    ini = tmp_path / "metlog.ini"
    ini.write_text("[metlog]\nsender_class = metlog.senders.NoSendSender\n")
    words = {"HOST": host, "INI": str(ini)}
    with pytest.raises(SystemExit) as left:
        sys.exit(main([words.get(word, word) for word in command]))
    assert left.value.code
    said = capsys.readouterr().err
    assert "expected a host name" in said
    assert repr(host) in said


def test_listen_says_what_is_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use is an exit code and a sentence."""
    with UdpReceiver() as taken:
        assert main(["listen", "--port", str(taken.port)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"cannot listen on 127.0.0.1:{taken.port}: ")
    assert err.endswith("; try --port\n")


@pytest.mark.parametrize("command", ["listen", "watch"])
@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1", "::2", "1.2.3.4.5"])
def test_a_host_that_is_not_of_this_machine_is_not_a_matter_of_ports(
    capsys: pytest.CaptureFixture[str], command: str, host: str
) -> None:
    """Another port would help nobody."""
    assert main([command, "--host", host, "--port", "0"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"cannot listen on {host}:0: ")
    assert err.endswith("; --host has to be an address of this machine\n")


# -- send ------------------------------------------------------------------------------


def test_send_a_message(receiver: UdpReceiver) -> None:
    """Text, severity by name or number, fields."""
    options = [
        "--severity",
        "error",
        "--logger",
        "cron",
        "-f",
        "disk=sda",
        "-f",
        "a=b=c",
    ]
    assert main(["send", "--port", str(receiver.port), "disk full", *options]) == 0
    assert receiver.wait_until(lambda r: len(r.messages) == 1)
    msg = receiver.messages[0]
    assert (msg["type"], msg["payload"], msg["severity"]) == (
        "oldstyle",
        "disk full",
        3,
    )
    assert (msg["logger"], msg["fields"]) == ("cron", {"disk": "sda", "a": "b=c"})


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (["--incr", "deploys"], "deploys:1|c"),
        (["--incr", "deploys=5"], "deploys:5|c"),
        (["--timer", "build=1250.5"], "build:1250.5|ms"),
        (["--gauge", "free=3"], "free:3|g"),
    ],
)
def test_send_a_metric(receiver: UdpReceiver, what: list[str], line: str) -> None:
    """As JSON, or as a line of StatsD."""
    assert main(["send", "--statsd", "--port", str(receiver.port), *what]) == 0
    assert receiver.wait_until(lambda r: r.lines == [line])


def test_send_as_a_configuration_says(receiver: UdpReceiver, tmp_path: Path) -> None:
    """``--config`` is an INI file, ``--section`` the one in it."""
    ini = tmp_path / "app.ini"
    ini.write_text(
        "[logs]\nlogger = from-ini\nsender_class = metlog.senders.UdpSender\n"
        f"sender_host = 127.0.0.1\nsender_port = {receiver.port}\n"
    )
    assert main(["send", "--config", str(ini), "--section", "logs", "hello"]) == 0
    assert receiver.wait_until(lambda r: len(r.messages) == 1)
    assert receiver.messages[0]["logger"] == "from-ini"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of the arguments"),
        (["--timer", "a"], "expected NAME=VALUE, got 'a'"),
        (["--gauge", "a=x"], "expected a number, got 'x'"),
        (["x", "--severity", "9"], "0 to 7 or one of emergency"),
        (["x", "--incr", "a"], "not allowed with"),
    ],
)
def test_send_refuses_nonsense(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Misuse is exit code 2 and a usage line."""
    with pytest.raises(SystemExit) as exit_:
        main(["send", *arguments])
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("payload", ["x", ""])
def test_a_message_is_no_line_of_statsd(
    payload: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Misuse, and a line that says what to send."""
    assert main(["send", "--statsd", payload]) == 2
    said = "expected --incr, --timer or --gauge with --statsd, got a message"
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--config", "nowhere.ini"], "expected an INI file, got 'nowhere.ini': "),
        (["x", "--config", "."], "expected an INI file, got '.': "),
        (["x", "--config", __file__], "expected an INI file, got "),
        (["x", "--port", "0"], "port"),
        (["--timer", "a=nan"], "not a measurement"),
        (["x", "--host", "nowhere.invalid"], "1 lost, 1 error\n"),
    ],
)
def test_send_says_what_is_known_to_be_lost(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and a line on stderr."""
    assert main(["send", *arguments]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["mapping", "dashboard", "alerts"])
def test_what_is_missing_is_called_as_the_help_calls_it(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It had been a word that the help does not have."""
    with pytest.raises(SystemExit):
        main([command])
    said = capsys.readouterr().err
    usage, _, error = said.partition("error: ")
    assert error == "the following arguments are required: BACKEND\n"
    assert usage.count("BACKEND") == 1


# -- bench -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--raw"]])
def test_bench_sends_so_many(
    receiver: UdpReceiver, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With a client, or the same bytes without one."""
    arguments = ["127.0.0.1", str(receiver.port), "--count", "50", *options]
    assert main(["bench", *arguments]) == 0
    assert receiver.wait_until(lambda r: len(r.messages) == 50)
    assert receiver.messages[0]["type"] == "MBTEST"
    assert re.match(r"50 sent in [0-9.]+ s: [0-9,]+ a second", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.invalid", "8125"], "HOST: expected a host with an address, got"),
        (["127.0.0.1", "8125", "--config", "n.ini"], "--config: expected an INI file"),
    ],
)
def test_bench_says_what_is_in_the_way(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and a line on stderr."""
    assert main(["bench", *arguments, "--count", "1"]) == 1
    assert capsys.readouterr().err.startswith(said)


def test_bench_of_statsd_for_a_time(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--seconds`` ends it; the sum that arrives is what it says it sent."""
    arguments = ["127.0.0.1", str(receiver.port), "--seconds", "0.05", "--statsd"]
    assert main(["bench", *arguments]) == 0
    count = int(capsys.readouterr().out.split()[0])
    assert receiver.wait_until(lambda r: r.counts == {"MBTEST": count})
