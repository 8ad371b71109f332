// SPDX-License-Identifier: MPL-2.0

// What a report says of errors; e2e/engines/events.test.js has real ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "./page.js";

/** The kinds that are reported of these errors. */
function kinds(...errors) {
  const page = open("errors.cjs");
  let body;
  page.window.fetch = async (url, init) => void (body = init.body.text);
  page.window.addEventListener("error", ({ target }) => {
    page.window.window = target; // in a browser, it is the window
  });
  page.fire("error");
  page.stick.sendErrors("/services/timing/record");
  for (const error of errors) page.fire("error", { error });
  page.hide();
  return new URLSearchParams(body).getAll("error");
}

test("an error is named by its class, if that is an error's name", () => {
  class PaymentError extends Error {
    name = "PaymentError";
  }
  assert.deepEqual(
    kinds(new TypeError("secret"), new AggregateError([]), new PaymentError("secret")),
    ["TypeError", "AggregateError", "PaymentError"],
  );
  const others = ["Error: secret", "secret Error", "TypeErrors", "", 5, null, undefined, {}];
  assert.deepEqual(
    kinds(...others.map((name) => ({ name }))),
    others.map(() => "other"),
  );
  assert.deepEqual(kinds(null, undefined, "TypeError", 5), ["other", "other", "other", "other"]);
});

test("an error whose name cannot be read is another", () => {
  const fails = () => {
    throw new Error("not yours");
  };
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  const odd = [
    { name: Symbol("TypeError") },
    { name: { toString: fails } },
    { name: { [Symbol.toPrimitive]: fails } },
    { name: Object.create(null) },
    { name: revoked },
    { name: [Symbol("TypeError")] },
    {
      get name() {
        return fails();
      },
    },
    new Proxy({}, { get: fails }), // a frame of another origin, say
    revoked,
    Symbol("TypeError"),
  ];
  assert.deepEqual(
    kinds(...odd),
    odd.map(() => "other"),
  );
  assert.deepEqual(kinds(...odd.slice(0, 9), new TypeError()).at(-1), "TypeError");
});

test("a name as long as a report may be is no name", () => {
  for (const length of [31, 200, 70_000, 1_000_000])
    assert.deepEqual(kinds({ name: `${"A".repeat(length)}Error` }), ["other"]);
  assert.deepEqual(kinds({ name: `${"A".repeat(30)}Error` }), [`${"A".repeat(30)}Error`]);
});

for (const [name, file] of [
  ["sendErrors", "errors.cjs"],
  ["sendErrors", "stick-all.js"],
  ["sendAttribution", "stick-all.js"],
  ["sendVitals", "stick-all.js"],
])
  test(`${name} (${file}): a page that was not chosen is not asked again`, () => {
    const dice = [0.9, 0.1, 0.1, 0.1];
    const page = open(file, {
      document: { readyState: "complete" },
      window: {
        Math: Object.assign(Object.create(Math), { random: () => dice.shift() }),
        PerformanceNavigationTiming: Object,
      },
    });
    for (let visit = 0; visit < 4; visit++)
      page.stick[name]("/services/timing/record", { sample: 0.5 });
    page.run();
    page.fire("error");
    page.hide();
    assert.equal(page.requests.length, 0);
  });

test("an error counts once, however often sendErrors is called", () => {
  const page = open("errors.cjs");
  for (let visit = 0; visit < 4; visit++) page.stick.sendErrors("/services/timing/record");
  page.fire("error");
  let body;
  page.window.fetch = async (url, init) => void (body = init.body.text);
  page.hide();
  assert.deepEqual(new URLSearchParams(body).getAll("error"), ["resource"]);
});
