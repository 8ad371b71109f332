// SPDX-License-Identifier: MPL-2.0

// How much a page remembers of its swaps. That they are noted, of htmx, Turbo and the browser
// itself, is tested with those: e2e/engines/events.test.js.

import assert from "node:assert/strict";
import { test } from "node:test";
import vm from "node:vm";
import { open } from "./page.js";

/** A page that swaps parts of itself, with the browser's observer in the test's hand. */
function swapping(options) {
  let see;
  class PerformanceObserver {
    constructor(callback) {
      see = (...entries) => callback({ getEntries: () => entries });
    }
    observe() {}
    takeRecords() {
      return [];
    }
  }
  class Request {
    constructor(url) {
      this.url = String(url);
    }
  }
  const page = open("visits.cjs", { window: { PerformanceObserver, Request } });
  page.stick.sendVisits("/services/timing/record", options);
  page.swap = (url, view) => {
    const xhr = {};
    page.fire("htmx:beforeRequest", { detail: { xhr, pathInfo: { finalRequestPath: url } } });
    page.fire("htmx:afterSettle", { detail: { xhr } });
    const serverTiming = view ? [{ name: "view", description: view }] : [];
    see({ name: url, entryType: "resource", serverTiming });
  };
  page.navigate = (name) => see({ name, entryType: "soft-navigation", duration: 5 });
  page.lines = () => page.reports.map(({ visits }) => visits.split("\n"));
  return page;
}

test("swaps are reported when the page is hidden, those since the last report", () => {
  const page = swapping({ data: { release: "1" }, sample: 1 });
  page.swap("/a", "shop.views.a");
  page.swap("/b");
  page.hide();
  page.hide();
  page.swap("/c", "shop.views.c");
  page.hide();
  assert.deepEqual(page.lines(), [["0 shop.views.a", "0 "], ["0 shop.views.c"]]);
  assert.equal(page.reports[0].release, "1");
});

for (const how of ["swap", "navigate"])
  test(`a page that polls for days remembers fifty swaps (${how})`, () => {
    const page = swapping();
    const lengths = [];
    const { prototype } = vm.runInContext("Array", page.window);
    const { push } = prototype;
    prototype.push = function (...items) {
      lengths.push(push.apply(this, items));
      return this.length;
    };
    for (let i = 0; i < 1000; i++) page[how](`/poll?${i}`, "shop.views.poll");
    assert.equal(lengths.length, 1000);
    assert.ok(Math.max(...lengths) <= 51);
    page.hide();
    assert.equal(page.lines()[0].length, 50);
  });
