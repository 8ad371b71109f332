// SPDX-License-Identifier: MPL-2.0

// When a report leaves, once, and what happens when it cannot.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LOAD, LOADING, open } from "./page.js";

const URL_ = "/services/timing/record";
const TIMING = "window.performance.timing.";

const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A page that still loads and has been told to report. */
function loading(file, options) {
  const page = open(file, { timing: LOADING, ...options });
  page.stick.send(URL_);
  return page;
}

for (const file of ["core.cjs", "send.cjs", "stick.js"]) {
  test(`${file}: the report leaves in a task after the load event`, () => {
    const page = loading(file);
    page.run();
    assert.equal(page.requests.length, 0);
    page.document.readyState = "complete";
    page.fire("load");
    assert.equal(page.requests.length, 0); // loadEventEnd would still be 0
    page.see(LOAD);
    page.run();
    assert.equal(page.reports.length, 1);
    assert.equal(page.requests[0].by, "sendBeacon");
    assert.equal(page.requests[0].url, URL_);
    assert.equal(page.reports[0][TIMING + "loadEventEnd"], "251");
  });

  test(`${file}: one report, however often send is called`, () => {
    const page = loading(file);
    page.stick.send(URL_);
    page.load(LOAD);
    page.stick.send("/elsewhere");
    page.run();
    page.hide();
    page.fire("pagehide");
    assert.deepEqual(page.requests.map(({ url }) => url), [URL_]);
  });

  test(`${file}: no cookie and no storage is looked at or written`, () => {
    const touched = [];
    const watched = (...names) =>
      Object.defineProperties(
        {},
        Object.fromEntries(
          names.map((name) => [
            name,
            {
              enumerable: true,
              configurable: true,
              get: () => touched.push(name),
              set: () => touched.push(name),
            },
          ]),
        ),
      );
    const page = loading(file);
    const storages = watched("localStorage", "sessionStorage", "indexedDB", "caches");
    Object.defineProperties(page.window, Object.getOwnPropertyDescriptors(storages));
    const cookies = Object.getOwnPropertyDescriptors(watched("cookie"));
    Object.defineProperties(page.document, cookies);
    page.load(LOAD);
    page.hide();
    page.fire("pagehide");
    assert.equal(page.reports.length, 1);
    assert.deepEqual(touched, []);
  });

  test(`${file}: called long after the load, it reports the load`, () => {
    const page = open(file, { document: { readyState: "complete" } });
    page.stick.send(URL_);
    assert.equal(page.requests.length, 0);
    page.run();
    assert.equal(page.reports[0][TIMING + "domComplete"], "250");
  });

  test(`${file}: called in the load event's own handlers, it waits for their end`, () => {
    const page = open(file, { timing: LOADING, document: { readyState: "complete" } });
    page.stick.send(URL_);
    page.see(LOAD);
    page.run();
    assert.equal(page.reports[0][TIMING + "loadEventEnd"], "251");
  });

  test(`${file}: a page that is left first reports what is known, at once`, () => {
    for (const leave of ["pagehide", "hide"]) {
      const page = loading(file);
      page.run();
      if (leave === "hide") page.hide();
      else page.fire("pagehide");
      assert.equal(page.reports.length, 1);
      assert.equal(page.reports[0][TIMING + "domInteractive"], "180");
      assert.ok(!(TIMING + "domComplete" in page.reports[0]));
      page.load(LOAD);
      assert.equal(page.reports.length, 1);
    }
  });

  test(`${file}: a report that is stopped half-way is sent at the next event`, () => {
    const page = loading(file);
    page.run();
    const { sendBeacon } = page.window.navigator;
    page.window.navigator.sendBeacon = () => {
      for (;;);
    };
    page.document.hidden = true;
    page.stopAt("visibilitychange");
    page.window.navigator.sendBeacon = sendBeacon;
    page.fire("pagehide");
    assert.equal(page.reports.length, 1);
  });

  test(`${file}: a page that comes back into sight reports nothing for that`, () => {
    const page = loading(file, { document: { hidden: true } });
    page.document.hidden = false;
    page.fire("visibilitychange");
    page.run();
    assert.equal(page.requests.length, 0);
    page.load(LOAD);
    assert.equal(page.reports.length, 1);
  });

  test(`${file}: nothing is sent while the page is prerendered`, () => {
    const page = loading(file, { document: { prerendering: true, hidden: true } });
    page.load(LOAD);
    page.hide();
    page.fire("pagehide");
    page.run();
    assert.equal(page.requests.length, 0);

    Object.assign(page.document, { prerendering: false, hidden: false });
    const shown = { ...LOAD.navigation_entry, activationStart: 2000 };
    page.see({ ...LOAD, navigation_entry: shown });
    page.fire("prerenderingchange");
    page.run();
    assert.equal(page.reports.length, 1);
    assert.equal(page.reports[0]["window.performance.navigation.type"], "255");
    assert.ok(!("hidden" in page.reports[0]));
  });

  test(`${file}: a page that is shown before it has loaded reports after its load`, () => {
    const page = loading(file, { document: { prerendering: true, hidden: true } });
    page.stick.send(URL_);
    Object.assign(page.document, { prerendering: false, hidden: false });
    page.fire("prerenderingchange");
    page.run();
    assert.equal(page.requests.length, 0);
    page.load(LOAD);
    assert.equal(page.reports.length, 1);
  });

  test(`${file}: a restore from the back/forward cache is no load`, () => {
    const page = loading(file);
    page.load(LOAD);
    page.fire("pagehide", { persisted: true });
    page.fire("pageshow", { persisted: true });
    page.stick.send(URL_);
    page.run();
    assert.equal(page.reports.length, 1);
  });

  test(`${file}: what sendBeacon does not take, fetch carries on`, async () => {
    const throws = () => {
      throw new TypeError("Illegal invocation");
    };
    for (const sendBeacon of [undefined, null, () => false, () => {}, throws, {}]) {
      const page = loading(file, { navigator: { sendBeacon } });
      page.load(LOAD);
      await settled();
      const [{ by, init }] = page.requests;
      assert.equal(by, "fetch");
      assert.equal(init.method, "POST");
      assert.equal(init.keepalive, true);
    }
  });

  test(`${file}: what may not outlive the page goes while the page is there`, async () => {
    const kept = [];
    for (const refuses of [
      () => Promise.reject(new TypeError("quota")),
      () => {
        throw new TypeError("quota");
      },
    ]) {
      const page = loading(file, { navigator: { sendBeacon: () => false } });
      const { fetch } = page.window;
      page.window.fetch = (url, init) => {
        kept.push(init.keepalive);
        return init.keepalive ? refuses() : fetch(url, init);
      };
      page.load(LOAD);
      await settled();
      assert.equal(page.reports.length, 1);
      page.fire("pagehide");
      await settled();
      assert.equal(page.reports.length, 1);
    }
    assert.deepEqual(kept, [true, false, true, false]);
  });

  test(`${file}: a report is a form, whoever made URLSearchParams`, () => {
    class Polyfill {
      constructor(record) {
        this.pairs = Object.entries(record);
      }
      toString() {
        return this.pairs.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
      }
    }
    const page = loading(file, { window: { URLSearchParams: Polyfill } });
    page.load(LOAD);
    assert.equal(page.reports[0][TIMING + "domComplete"], "250");
  });

  test(`${file}: nothing is thrown and nothing left unhandled`, async () => {
    const refuse = () => {
      throw new TypeError("refused");
    };
    const broken = [
      { navigator: { sendBeacon: refuse } },
      { navigator: { sendBeacon: () => false }, window: { fetch: refuse } },
      { navigator: { sendBeacon: undefined }, window: { fetch: undefined } },
      { navigator: { sendBeacon: undefined }, window: { fetch: async () => refuse() } },
      { window: { URLSearchParams: undefined } },
      { window: { navigator: undefined } },
    ];
    for (const options of broken) loading(file, options).load(LOAD);

    const blind = loading(file);
    for (const performance of [undefined, {}, { getEntriesByType: () => [] }]) {
      blind.window.performance = performance;
      blind.fire("pagehide");
      blind.run();
    }
    assert.equal(blind.requests.length, 0);
    await settled();
    assert.deepEqual(unhandled, []);
  });
}

for (const file of ["send.cjs", "stick.js"]) {
  test(`${file}: a load that was not finished is marked`, () => {
    const page = loading(file);
    page.fire("pagehide");
    assert.equal(page.reports[0].partial, "1");
  });

  test(`${file}: a load in a background tab is marked`, () => {
    const page = loading(file, { document: { hidden: true } });
    page.load(LOAD);
    assert.equal(page.reports[0].hidden, "1");
    assert.ok(!("partial" in page.reports[0]));
  });

  test(`${file}: an element named hidden does not hide the page`, () => {
    const ofAnotherOrigin = new Proxy({}, {
      get() {
        throw new Error("SecurityError");
      },
    });
    const named = [{}, [], { length: 1 }, () => {}, "a frame", new Map(), ofAnotherOrigin];
    for (const hidden of named) {
      const page = loading(file, { document: { hidden } });
      page.load(LOAD);
      assert.ok(!("hidden" in page.reports[0]));
      assert.ok(!("partial" in page.reports[0]));
    }
  });

  test(`${file}: a load that was in sight until it was left is not marked as hidden`, () => {
    const page = loading(file);
    page.hide();
    assert.ok(!("hidden" in page.reports[0]));
  });

  test(`${file}: with fetchLater a report is deferred for a tab that just dies`, () => {
    const page = loading(file, { fetchLater: true });
    assert.equal(page.requests.length, 0); // not yet: the script is still running
    page.run();
    const [{ by, url, fields, init }] = page.requests;
    assert.equal(by, "fetchLater");
    assert.equal(url, URL_);
    assert.equal(init.method, "POST");
    assert.equal(fields.partial, "1");
    assert.equal(fields[TIMING + "domInteractive"], "180");
    assert.equal(init.signal.aborted, false);
  });

  test(`${file}: the real report takes the place of the deferred one`, () => {
    const leaves = [
      (page) => page.load(LOAD),
      (page) => page.fire("pagehide"),
    ];
    for (const leave of leaves) {
      const page = loading(file, { fetchLater: true });
      page.run();
      leave(page);
      assert.equal(page.reports.length, 1);
      assert.ok(page.requests[0].init.signal.aborted);
    }
  });

  test(`${file}: with a deferred report a page may finish loading out of sight`, () => {
    const page = loading(file, { fetchLater: true });
    page.run();
    page.hide();
    assert.equal(page.reports.length, 0);
    assert.equal(page.requests[0].init.signal.aborted, false);
    page.load(LOAD);
    assert.equal(page.reports[0].hidden, "1");
    assert.equal(page.reports[0][TIMING + "loadEventEnd"], "251");
    assert.ok(page.requests[0].init.signal.aborted);
  });

  test(`${file}: a page that has loaded defers nothing`, () => {
    const page = open(file, { fetchLater: true, document: { readyState: "complete" } });
    page.stick.send(URL_);
    page.run();
    assert.deepEqual(page.requests.map(({ by }) => by), ["sendBeacon"]);
  });

  test(`${file}: where fetchLater refuses, a page that is hidden reports at once`, () => {
    const fetchLater = () => {
      throw new TypeError("not a trustworthy URL");
    };
    const page = loading(file, { window: { fetchLater } });
    page.run();
    page.hide();
    assert.equal(page.reports.length, 1);
  });
}

/** A page whose network is away until its `reach` says otherwise. */
function offline(file, options) {
  const page = loading(file, { ...options, navigator: { onLine: false } });
  const { fetch } = page.window;
  page.tries = 0;
  page.window.fetch = async (...call) => {
    page.tries++;
    if (!page.reach) throw new TypeError("Failed to fetch");
    return fetch(...call);
  };
  page.back = async (reach = true) => {
    page.reach = reach;
    page.window.navigator.onLine = true;
    page.fire("online");
    await settled();
  };
  return page;
}

for (const file of ["send.cjs", "stick.js", "stick-vitals.js", "stick-all.js"]) {
  test(`${file}: what cannot be sent offline is sent when the network is back, once`, async () => {
    const page = offline(file);
    page.load(LOAD);
    await settled();
    assert.equal(page.requests.length, 0); // nor was sendBeacon asked, which would take it
    await page.back();
    assert.equal(page.reports.length, 1);
    assert.equal(page.reports[0][TIMING + "loadEventEnd"], "251");
    await page.back();
    page.hide();
    page.fire("pagehide");
    await settled();
    assert.equal(page.reports.length, 1);
  });

  test(`${file}: a network that is back and does not carry is waited for again`, async () => {
    const page = offline(file);
    page.load(LOAD);
    await settled();
    await page.back(false);
    await page.back(false);
    assert.equal(page.requests.length, 0);
    const { tries } = page;
    await settled();
    assert.equal(page.tries, tries); // it is not tried all the time
    await page.back();
    assert.equal(page.reports.length, 1);
  });

  test(`${file}: what is sent late is what was known in time`, async () => {
    const page = offline(file);
    page.hide(); // before the load event, and nothing is deferred
    await settled();
    page.load(LOAD);
    await page.back();
    assert.equal(page.reports.length, 1);
    assert.equal(page.reports[0].partial, "1");
    assert.ok(!("hidden" in page.reports[0]));
  });

  test(`${file}: a page that is hidden after its load, offline, did not load hidden`, async () => {
    const page = offline(file, { fetchLater: true });
    page.run();
    page.load(LOAD);
    await settled();
    page.hide();
    await page.back();
    const reports = page.requests.filter(({ by }) => by === "fetch");
    assert.equal(reports.length, 1);
    assert.ok(!("hidden" in reports[0].fields));
  });

  test(`${file}: a browser that is wrong about its network does not stop a report`, async () => {
    const page = offline(file);
    page.reach = true;
    page.load(LOAD);
    await settled();
    assert.deepEqual(page.requests.map(({ by, init }) => [by, init.keepalive]), [["fetch", true]]);
    await page.back();
    assert.equal(page.reports.length, 1);
  });

  test(`${file}: what is blocked is tried again when the network comes back, and no more`, async () => {
    const refuse = async () => {
      throw new TypeError("blocked");
    };
    const page = loading(file, { navigator: { sendBeacon: null }, window: { fetch: refuse } });
    page.load(LOAD);
    await settled();
    page.fire("online");
    await settled();
    assert.equal(page.requests.length, 0);
    assert.deepEqual(unhandled, []);
  });
}
