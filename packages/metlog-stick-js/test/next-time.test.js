// SPDX-License-Identifier: MPL-2.0

// sendErrors and sendAttribution report when the page is hidden; what could not be sent then
// is in the next report.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "./page.js";

const URL_ = "/services/timing/record";

const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Hides the page and brings it back. */
async function hidden(page) {
  page.hide();
  await settled();
  page.document.hidden = false;
  page.fire("visibilitychange");
}

/** Each with what makes something to report, and with a sign that it was. */
const SENDERS = {
  sendErrors: { happens: (page) => page.fire("error"), sign: "error" },
  sendAttribution: { happens: () => {}, sign: "webvital.TTFB.value" },
};

for (const [name, { happens, sign }] of Object.entries(SENDERS)) {
  const opened = (options) => {
    const page = open("stick-all.js", {
      ...options,
      document: { readyState: "complete" },
      window: { PerformanceNavigationTiming: Object }, // the entry is one
    });
    page.stick[name](URL_);
    page.run();
    happens(page);
    return page;
  };

  test(`${name}: a report leaves when the page is hidden, whatever became of sendBeacon`, async () => {
    const throws = () => {
      throw new TypeError("Illegal invocation");
    };
    for (const sendBeacon of [undefined, null, throws, () => false, () => {}]) {
      const page = opened({ navigator: { sendBeacon } });
      await hidden(page);
      assert.deepEqual(page.reports.map((fields) => sign in fields), [true]);
      assert.equal(page.requests[0].init.keepalive, true);
      assert.equal(page.requests[0].init.mode, "no-cors");
      await hidden(page);
      assert.equal(page.reports.length, 1);
    }
  });

  test(`${name}: what may not outlive the page goes while the page is there`, async () => {
    const page = opened();
    const { fetch } = page.window;
    page.window.fetch = async (url, init) => {
      if (init.keepalive) throw new TypeError("quota");
      return fetch(url, init);
    };
    await hidden(page);
    assert.equal(page.reports.length, 1);
  });

  for (const [how, fails] of Object.entries({
    rejects: () => Promise.reject(new TypeError("Failed to fetch")),
    throws: () => {
      throw new TypeError("Illegal invocation");
    },
  }))
    test(`${name}: what could not be sent, as fetch ${how}, is in the next report`, async () => {
      const page = opened();
      const { fetch } = page.window;
      page.window.fetch = fails;
      await hidden(page);
      await hidden(page);
      assert.equal(page.requests.length, 0);
      page.window.fetch = fetch;
      await hidden(page);
      assert.deepEqual(page.reports.map((fields) => sign in fields), [true]);
      assert.equal(page.reports[0].client, "stick");
      await hidden(page);
      assert.equal(page.reports.length, 1);
      assert.deepEqual(unhandled, []);
    });
}

/** A page whose web-vitals reports what and when the test says. */
function attributed(options) {
  const notes = [];
  const on = (note) => void notes.push(note);
  const page = open("attribution.cjs", {
    ...options,
    window: {
      URL,
      location: { href: "https://shop.example/page?q=1" },
      require: () => ({ onCLS: on, onFCP: on, onINP: on, onLCP: on, onTTFB: on }),
    },
  });
  page.stick.sendAttribution(URL_);
  page.notes = (metric) => notes[0]({ navigationType: "navigate", attribution: {}, ...metric });
  return page;
}

test("sendAttribution: a page hidden before it has vitals reports none, but later", async () => {
  const page = attributed();
  await hidden(page);
  await hidden(page);
  page.notes({ name: "TTFB", value: 5, navigationType: "back-forward-cache" });
  await hidden(page);
  assert.equal(page.requests.length, 0);
  page.notes({ name: "TTFB", value: 95 });
  await hidden(page);
  page.notes({ name: "CLS", value: 0.1 });
  await hidden(page);
  assert.deepEqual(page.reports.map((fields) => fields["webvital.TTFB.value"]), ["95"]);
});

test("sendAttribution: a script is told by its path, and one without an address is not", async () => {
  for (const [sourceURL, path] of [
    ["https://shop.example/static/shop.js?v=1#x", "/static/shop.js"],
    ["static/shop.js", "/static/shop.js"],
    ["https://shop.example/page?q=1", "/page"], // a script in the page itself
    ["", ""],
    [undefined, ""],
  ]) {
    const page = attributed();
    const longestScript = { entry: { sourceURL } };
    page.notes({ name: "INP", value: 200, attribution: { longestScript } });
    await hidden(page);
    assert.equal(page.reports[0]["webvital.INP.script"], path);
  }
});
