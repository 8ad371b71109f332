// SPDX-License-Identifier: MPL-2.0

// What a load's report says: real browsers' timing values, played through the scripts.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { LOAD, open } from "./page.js";

// Kept once, where the record view's tests have them, too.
const SNAPSHOTS = new URL(
  "../../django-metlog/tests/beacons/navigation-timing/",
  import.meta.url,
);
const TIMING = "window.performance.timing.";
const TYPE = "window.performance.navigation.type";
const REDIRECTS = "window.performance.navigation.redirectCount";
const AFTER_LOAD = ["domComplete", "loadEventStart", "loadEventEnd"];
const URL_ = "/services/timing/record";

const captures = readdirSync(SNAPSHOTS)
  .filter((file) => file !== "index.json")
  .flatMap((file) => {
    const { beacons } = JSON.parse(readFileSync(new URL(file, SNAPSHOTS)));
    return beacons.map(({ moment, form_fields, snapshots }) => ({
      name: `${file.replace(".json", "")}, ${moment}`,
      before: form_fields,
      snapshot: snapshots.at(-1),
    }));
  });

const capture = (name) => captures.find((each) => each.name === name).snapshot;

/** The report of a page whose browser knows what the snapshot says. */
function report(file, timing, options) {
  const page = open(file, { timing, document: { readyState: "complete" } });
  page.stick.send(URL_, options);
  page.run();
  assert.equal(page.reports.length, 1);
  return page.reports[0];
}

/** Milestone → milliseconds. */
const times = (fields) =>
  Object.fromEntries(
    Object.entries(fields)
      .filter(([name]) => name.startsWith(TIMING))
      .map(([name, value]) => [name.slice(TIMING.length), Number(value)]),
  );

test("there are captures of three engines to replay", () => {
  for (const engine of ["chromium", "firefox", "webkitgtk"])
    assert.ok(captures.filter(({ name }) => name.startsWith(engine)).length >= 9);
});

for (const file of ["core.cjs", "send.cjs", "stick.js"]) {
  for (const { name, snapshot, before } of captures) {
    const level1 = snapshot.performance_timing;
    const level2 = snapshot.navigation_entry;
    const shown = level2.activationStart || 0;
    const loaded = level2.loadEventEnd > 0;

    test(`${file} reports ${name}`, () => {
      const fields = report(file, snapshot);
      const reached = times(fields);

      // Whole numbers, and nothing that the browser does not claim.
      for (const [field, value] of Object.entries(fields))
        assert.match(value, field === "client" ? /^stick$/ : /^[0-9]{1,7}$/, field);
      for (const milestone of Object.keys(reached).filter((key) => key !== "navigationStart"))
        assert.ok(level2[milestone] > 0 || level1[milestone] > level1.navigationStart);

      // A load that was not finished is not said to be.
      for (const milestone of AFTER_LOAD)
        if (!loaded) assert.ok(!(milestone in reached), milestone);

      // Within a millisecond of what level 2 says, counted from when the page was shown.
      for (const [milestone, elapsed] of Object.entries(reached))
        if (level2[milestone] > 0)
          assert.ok(Math.abs(elapsed - Math.max(level2[milestone] - shown, 0)) <= 0.5);

      // In the order of the specification.
      const order = ["navigationStart", "responseStart", "domLoading", "domInteractive"];
      const found = [...order, ...AFTER_LOAD].filter((key) => key in reached);
      for (const [i, milestone] of found.slice(1).entries())
        assert.ok(reached[milestone] >= reached[found[i]], milestone);

      // What the first stick said of the same moment, as far as it was true.
      const start = Number(before[TIMING + "navigationStart"]);
      for (const [milestone, elapsed] of Object.entries(reached))
        if (before[TIMING + milestone] > start && !shown)
          assert.ok(Math.abs(before[TIMING + milestone] - start - elapsed) <= 1.5);
      assert.equal(fields[REDIRECTS], before[REDIRECTS]);
    });
  }
}

test("the full report marks a load that was not finished, the core leaves it at that", () => {
  for (const { name, snapshot } of captures) {
    const partial = snapshot.navigation_entry.loadEventEnd > 0 ? undefined : "1";
    assert.equal(report("send.cjs", snapshot).partial, partial, name);
    assert.equal(report("core.cjs", snapshot).partial, undefined, name);
  }
});

test("the core sends the fields of the first stick", () => {
  assert.deepEqual(report("core.cjs", LOAD), {
    client: "stick",
    [TIMING + "navigationStart"]: "0",
    [TIMING + "responseStart"]: "95",
    [TIMING + "domLoading"]: "100",
    [TIMING + "domInteractive"]: "180",
    [TIMING + "domComplete"]: "250",
    [TIMING + "loadEventEnd"]: "251",
    [REDIRECTS]: "0",
    [TYPE]: "0",
  });
});

test("the full report sends every milestone of Navigation Timing", () => {
  const reached = times(report("send.cjs", capture("chromium--redirect, load")));
  const { performance_timing } = capture("chromium--redirect, load");
  for (const milestone of Object.keys(performance_timing))
    if (performance_timing[milestone] > performance_timing.navigationStart)
      assert.ok(milestone in reached, milestone);
  assert.ok(Object.keys(reached).length >= 15);
});

test("a domComplete that an abandoned load pretends to is not sent", () => {
  for (const engine of ["chromium", "firefox"]) {
    const snapshot = capture(`${engine}--left-before-load, leave-before-load`);
    assert.ok(snapshot.navigation_entry.domComplete > 1000);
    assert.ok(!(TIMING + "domComplete" in report("send.cjs", snapshot)));
  }
});

test("a page left in its load event's handlers has not loaded", () => {
  const navigation_entry = { ...LOAD.navigation_entry, loadEventEnd: 0 };
  const fields = report("send.cjs", { ...LOAD, navigation_entry });
  for (const milestone of AFTER_LOAD) assert.ok(!(TIMING + milestone in fields));
  assert.equal(fields.partial, "1");
});

test("times before the start, which WebKit has after back/forward, are not sent", () => {
  const snapshot = capture("webkitgtk--back-forward, load");
  assert.equal(snapshot.navigation_entry.responseStart, -2967);
  const fields = report("send.cjs", snapshot);
  assert.ok(!(TIMING + "responseStart" in fields));
  assert.equal(fields[TYPE], "2");
});

test("of a prerendered page only the visitor's wait counts", () => {
  const fields = report("send.cjs", capture("chromium--prerender-activated-late, activated"));
  assert.equal(fields[TYPE], "255");
  assert.equal(fields.activationStart, "2991"); // 2990.5, half up
  assert.equal(fields[TIMING + "domComplete"], "0");
  assert.equal(fields[TIMING + "loadEventEnd"], "0");
  assert.ok(!("partial" in fields));
});

test("what level 2 hides after a cross-origin redirect in WebKit, level 1 tells", () => {
  const hidden = Object.fromEntries(
    ["fetchStart", "requestStart", "responseStart"].map((name) => [name, 0]),
  );
  const start = LOAD.performance_timing.navigationStart;
  const fields = report("send.cjs", {
    ...LOAD,
    navigation_entry: { ...LOAD.navigation_entry, ...hidden },
    performance_timing: { ...LOAD.performance_timing, responseStart: start + 83 },
  });
  assert.equal(fields[TIMING + "responseStart"], "83");
  assert.ok(!(TIMING + "requestStart" in fields));
});

for (const [type, number] of [
  ["navigate", "0"],
  ["reload", "1"],
  ["back_forward", "2"],
]) {
  test(`navigation type ${type} is ${number}`, () => {
    const navigation_entry = { ...LOAD.navigation_entry, type };
    for (const file of ["core.cjs", "send.cjs"])
      assert.equal(report(file, { ...LOAD, navigation_entry })[TYPE], number);
  });
}

test("a type of navigation nobody has heard of is level 1's", () => {
  const navigation_entry = { ...LOAD.navigation_entry, type: "teleport" };
  const performance_navigation = { type: 255, redirectCount: 0 };
  assert.equal(
    report("send.cjs", { ...LOAD, navigation_entry, performance_navigation })[TYPE],
    "255",
  );
});

test("without level 2, everything comes from level 1", () => {
  for (const name of ["firefox--reload, load", "webkitgtk--reload, load"]) {
    const both = capture(name);
    const fields = report("send.cjs", { ...both, navigation_entry: undefined });
    const expected = report("send.cjs", both);
    assert.equal(fields[TYPE], "1");
    assert.equal(fields[REDIRECTS], "0");
    for (const milestone of ["domLoading", "domInteractive", "domComplete", "loadEventEnd"])
      assert.ok(
        Math.abs(fields[TIMING + milestone] - expected[TIMING + milestone]) <= 1,
        milestone,
      );
  }
});

test("without level 1 only domLoading is lost", () => {
  const { navigation_entry } = capture("chromium--navigate, load");
  const expected = report("send.cjs", capture("chromium--navigate, load"));
  delete expected[TIMING + "domLoading"];
  assert.deepEqual(report("send.cjs", { navigation_entry }), expected);
});
