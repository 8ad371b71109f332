// SPDX-License-Identifier: MPL-2.0

import assert from "node:assert/strict";

const TIMING = "window.performance.timing.";
const NAVIGATION = "window.performance.navigation.";
const AFTER_LOAD = ["domComplete", "loadEventStart", "loadEventEnd"];

/** Checks that this is the one correct report for a load that went this way. */
export function assertReport(request, expected) {
  const { entry, visit, engine, type, redirects = 0 } = expected;
  const { partial, hidden, prerendered, nameless } = expected;
  assert.equal(request.method, "POST");
  assert.match(request.headers["content-type"], /^application\/x-www-form-urlencoded\b/);

  const pairs = [...new URLSearchParams(request.body)];
  const fields = Object.fromEntries(pairs);
  assert.equal(pairs.length, Object.keys(fields).length, "a field came twice");
  const { client, view, ...numbers } = fields;
  assert.equal(client, "stick");
  const named = engine.serverTiming && !nameless;
  assert.equal(view, named ? `engines.${visit.name}` : undefined);
  for (const [name, value] of Object.entries(numbers))
    assert.match(value, /^[0-9]{1,5}$/, name);

  assert.equal(fields.partial, partial && "1", "partial");
  assert.equal(fields.hidden, hidden && "1", "hidden");
  assert.equal(fields.activationStart > 0, Boolean(prerendered), "activationStart");
  assert.equal(Number(fields[NAVIGATION + "type"]), type);
  assert.equal(Number(fields[NAVIGATION + "redirectCount"]), redirects);

  const times = Object.fromEntries(
    Object.entries(numbers)
      .filter(([name]) => name.startsWith(TIMING))
      .map(([name, value]) => [name.slice(TIMING.length), Number(value)]),
  );
  assert.equal(times.navigationStart, 0);
  for (const milestone of AFTER_LOAD)
    assert.equal(milestone in times, !partial, milestone);

  // In order, as far as reached. domLoading is level 1's, whose clock may be off by one.
  const reached = ["navigationStart", "responseStart", "domLoading", "domInteractive"]
    .concat(AFTER_LOAD)
    .filter((milestone) => milestone in times);
  assert.ok(reached.length >= (partial ? 4 : 6), `only ${reached}`);
  for (const [i, later] of reached.slice(1).entries()) {
    const slack = later === "domLoading" || reached[i] === "domLoading" ? 1 : 0;
    assert.ok(times[later] + slack >= times[reached[i]], `${later} in ${request.body}`);
  }

  // The browser's own account, where it has one.
  for (const [milestone, time] of Object.entries(times))
    if (entry?.[milestone] > 0)
      assert.ok(Math.abs(entry[milestone] - time) <= 0.5, milestone);
}
