# SPDX-License-Identifier: MPL-2.0
"""Requests that real browsers sent, played back to the record view."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from reports import TIMING, Answer, Ask, every_server, recorded
from sending import Sent

BEACONS = Path(__file__).parent / "beacons"
NAMES = ["navigate", "reload", "back_forward"]


def captures(folder: str) -> list[Any]:
    return [
        pytest.param(json.loads(file.read_text()), id=file.stem)
        for file in sorted((BEACONS / folder).glob("*--*.json"))
    ]


def replay(ask: Ask, request: dict[str, Any]) -> Answer:
    headers = {
        name: value
        for name, value in request["headers"].items()
        if name not in ("host", "content-length", "content-type")
    }
    url = request["path"] + (f"?{request['query']}" if request["query"] else "")
    content_type = request["headers"].get("content-type", "")
    return ask(
        request["method"], url, request["body"].encode(), content_type, headers=headers
    )


@every_server
@pytest.mark.parametrize("capture", captures("boomerang"))
def test_captured_boomerang(ask: Ask, sent: Sent, capture: dict[str, Any]) -> None:
    """What real boomerangs sent: each load is recorded once, all else ignored."""
    request = capture["request"]
    fields = dict(parse_qsl(request["query"] + request["body"], keep_blank_values=True))
    answer = replay(ask, request)
    if "client" not in fields:
        # The page had ?client=boomerang in its beacon_url; the capture lost it.
        assert answer.status_code == 400
        request["query"] = capture["init"]["beacon_url"].partition("?")[2]
        answer = replay(ask, request)
    assert answer.status_code == 204
    if capture["beacon_kind"] not in ("page-load", "unload-before-load"):
        assert recorded(sent) == {}
        return
    assert recorded(sent) == _load_of_boomerang(fields, capture)


def _load_of_boomerang(
    fields: dict[str, str], capture: dict[str, Any]
) -> dict[str, int]:
    def since(name: str, start: str = "nt_nav_st") -> int:
        return int(fields[name]) - int(fields[start])

    expected = {
        "navigation.redirectCount": int(fields["nt_red_cnt"]),
        f"navigation.type.{NAMES[int(fields['nt_nav_type'])]}": 1,
    }
    if capture["scenario"] == "hidden-tab":
        return {**expected, "hidden": 1}
    expected |= {
        "timing.domInteractive": since("nt_domint"),
        "timing.domLoading": since("nt_domloading"),
        "calculated.network": since("nt_res_st"),
        "calculated.app": since("nt_domloading", "nt_res_st"),
    }
    if capture["beacon_kind"] == "page-load":
        expected |= {
            "timing.domComplete": since("nt_domcomp"),
            "calculated.dom": since("nt_domcomp", "nt_domloading"),
            "calculated.rendering": since("nt_load_end", "nt_domcomp"),
        }
    return expected


@every_server
@pytest.mark.parametrize("capture", captures("navigation-timing"))
def test_captured_stick(ask: Ask, sent: Sent, capture: dict[str, Any]) -> None:
    """What a stick of the original's kind sent from real engines, in every scenario."""
    for beacon in capture["beacons"]:
        sent.clear()
        assert replay(ask, beacon["request"]).status_code == 204
        fields = beacon["form_fields"]
        start = int(fields[TIMING + "navigationStart"])
        times = {
            name: int(fields[f"{TIMING}{name}"]) - start
            for name in ("domComplete", "domInteractive", "domLoading")
            if int(fields[f"{TIMING}{name}"])
        }
        if fields[TIMING + "loadEventEnd"] == "0":
            times.pop("domComplete", None)
        seen = recorded(sent)
        assert {
            name.removeprefix("timing."): value
            for name, value in seen.items()
            if name.startswith("timing.")
        } == times
        assert [name for name in seen if name.startswith("navigation.type.")]
        # WebKit, after back/forward: a response that began before the navigation.
        negative = int(fields[TIMING + "responseStart"]) < start
        assert seen.get("rejected", 0) == negative
        assert ("calculated.network" in seen) is not negative
