// SPDX-License-Identifier: MPL-2.0

// When the vitals leave, and with what. This page has no painting and no visitor, so that
// web-vitals knows TTFB only; e2e/boomerang has all five, of a real browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LOAD, open } from "./page.js";

const URL_ = "/services/timing/record";

function measured(options, page = {}) {
  const opened = open("stick-vitals.js", {
    ...page,
    document: { readyState: "complete", ...page.document },
  });
  opened.stick.sendVitals(URL_, options);
  opened.run();
  return opened;
}

test("the vitals leave when the page is first hidden, once", () => {
  const page = measured();
  assert.equal(page.requests.length, 0);
  page.stick.sendVitals("/elsewhere");
  page.run();
  page.hide();
  page.fire("pagehide");
  page.fire("pageshow", { persisted: true });
  page.hide();
  assert.deepEqual(page.requests.map(({ url }) => url), [URL_]);
  assert.deepEqual(page.reports, [{ client: "stick", TTFB: "95" }]);
});

test("a page that was hidden all the time reports when it goes", () => {
  const page = measured({}, { document: { hidden: true } });
  page.fire("pagehide");
  assert.equal(page.reports.length, 1);
});

test("a page in sight waits for what web-vitals has to say when it is hidden", () => {
  const page = measured();
  page.fire("pagehide"); // Chromium fires this first
  assert.equal(page.requests.length, 0);
  page.hide();
  assert.equal(page.reports.length, 1);
});

test("a page without vitals reports none", () => {
  const page = measured({}, { timing: { ...LOAD, navigation_entry: undefined } });
  page.hide();
  assert.equal(page.requests.length, 0);
});

test("vitals take options, and the view that Server-Timing names", () => {
  const serverTiming = [{ name: "view", description: "shop.views.cart" }];
  const timing = { ...LOAD, navigation_entry: { ...LOAD.navigation_entry, serverTiming } };
  const page = measured({ data: { release: "1.2", client: "mallory" } }, { timing });
  page.hide();
  assert.deepEqual(page.reports, [
    { release: "1.2", client: "stick", TTFB: "95", view: "shop.views.cart" },
  ]);
});

test("sampled vitals say so", () => {
  const page = measured({ sample: 1 });
  page.hide();
  assert.deepEqual(page.reports, [{ client: "stick", TTFB: "95", sample: "1" }]);
});

test("of visitors who are not chosen, or ask for privacy, nothing is reported", () => {
  const visitor = { navigator: { globalPrivacyControl: true } };
  for (const page of [measured({ sample: 0 }), measured({ respectGpc: true }, visitor)]) {
    page.hide();
    assert.equal(page.requests.length, 0);
  }
});

test("a script tag with data-url reports load and vitals", () => {
  const page = open("stick-vitals.js", {
    document: { readyState: "complete" },
    tag: { dataset: { url: URL_ } },
  });
  page.run();
  page.hide();
  assert.equal(page.reports.length, 2);
  assert.equal(page.reports[1].TTFB, "95");
});
