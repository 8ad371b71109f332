// SPDX-License-Identifier: MPL-2.0

// What a site can ask for, in JavaScript or on the script's tag.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LOAD, LOADING, open } from "./page.js";

const URL_ = "/services/timing/record";
const TIMING = "window.performance.timing.";

/** The reports of a page that loads with these options. */
function reports(options, page = open("send.cjs", { timing: LOADING })) {
  page.stick.send(URL_, options);
  page.load(LOAD);
  return page.reports;
}

const rolling = (dice) =>
  open("send.cjs", {
    timing: LOADING,
    window: { Math: Object.assign(Object.create(Math), { random: () => dice }) },
  });

test("sample is the share of loads that are reported", () => {
  assert.equal(reports({ sample: 0.25 }, rolling(0.2499)).length, 1);
  assert.equal(reports({ sample: 0.25 }, rolling(0.25)).length, 0);
  assert.equal(reports({ sample: 0 }, rolling(0)).length, 0);
  assert.equal(reports({ sample: 1 }, rolling(0.9999)).length, 1);
});

test("a sampled report says so, and only that", () => {
  assert.equal(reports({ sample: 0.25 }, rolling(0))[0].sample, "0.25");
  assert.equal(reports({ sample: 0.25, data: { sample: 1 } }, rolling(0))[0].sample, "0.25");
  assert.ok(!("sample" in reports({})[0]));
});

test("a load that was not chosen is not asked again", () => {
  const dice = [0.9, 0.1];
  const page = open("send.cjs", {
    window: { Math: Object.assign(Object.create(Math), { random: () => dice.shift() }) },
  });
  page.stick.send(URL_, { sample: 0.5 });
  page.stick.send(URL_, { sample: 0.5 });
  page.load();
  assert.equal(page.reports.length, 0);
});

test("keys chooses the milestones; loadEventEnd always proves the load", () => {
  const [fields] = reports({ keys: ["responseStart", "domComplete"] });
  assert.deepEqual(
    Object.keys(fields).filter((name) => name.startsWith(TIMING)).sort(),
    ["domComplete", "loadEventEnd", "navigationStart", "responseStart"].map(
      (name) => TIMING + name,
    ),
  );
  assert.ok(!("partial" in fields));
});

test("data goes along and cannot change what stick says", () => {
  const [fields] = reports({ data: { release: "1.2", beta: true, client: "mallory" } });
  assert.equal(fields.release, "1.2");
  assert.equal(fields.beta, "true");
  assert.equal(fields.client, "stick");
});

test("respectGpc keeps quiet for visitors who ask for it, and only for them", () => {
  const visitor = (globalPrivacyControl) =>
    open("send.cjs", { timing: LOADING, navigator: { globalPrivacyControl } });
  assert.equal(reports({ respectGpc: true }, visitor(true)).length, 0);
  assert.equal(reports({ respectGpc: true }, visitor(false)).length, 1);
  assert.equal(reports({ respectGpc: true }, visitor(undefined)).length, 1);
  assert.equal(reports({}, visitor(true)).length, 1);
});

test("the view that Server-Timing names is sent along", () => {
  const serverTiming = [
    { name: "total", duration: 12, description: "" },
    { name: "view", duration: 0, description: "shop.views.cart" },
  ];
  const named = (serverTiming) => ({
    ...LOAD,
    navigation_entry: { ...LOAD.navigation_entry, serverTiming },
  });
  const view = (timing) => {
    const page = open("send.cjs", { timing, document: { readyState: "complete" } });
    page.stick.send(URL_);
    page.run();
    return page.reports[0].view;
  };
  assert.equal(view(named(serverTiming)), "shop.views.cart");
  assert.equal(view(named(serverTiming.slice(0, 1))), undefined);
  assert.equal(view(named([])), undefined);
  assert.equal(view(LOAD), undefined);
});

const TAG = { dataset: { url: URL_ } };

test("a script tag with data-url reports by itself", () => {
  const page = open("stick.js", { timing: LOADING, tag: TAG });
  page.load(LOAD);
  assert.deepEqual(page.requests.map(({ url }) => url), [URL_]);
});

test("a script that a loader runs finds its tag in the page", () => {
  for (const running of [null, { dataset: {} }, { dataset: { url: "" } }]) {
    const page = open("stick.js", { timing: LOADING, tag: running, tagLeftInPage: TAG });
    page.load(LOAD);
    assert.deepEqual(page.requests.map(({ url }) => url), [URL_]);
  }
});

test("the script that runs goes before another one with such a name", () => {
  const tagLeftInPage = { dataset: { url: "/sticky" } };
  const page = open("stick.js", { timing: LOADING, tag: TAG, tagLeftInPage });
  page.load(LOAD);
  assert.deepEqual(page.requests.map(({ url }) => url), [URL_]);
});

test("attributes of the tag are options", () => {
  const on = (dataset, more) => {
    const page = open("stick.js", {
      timing: LOADING,
      tag: { dataset: { url: URL_, ...dataset } },
      ...more,
    });
    page.load(LOAD);
    return page.reports;
  };
  assert.equal(on({ sample: "1" })[0].sample, "1");
  assert.equal(on({ sample: "0" }).length, 0);
  assert.equal(on({ respectGpc: "true" }, { navigator: { globalPrivacyControl: true } }).length, 0);
  assert.deepEqual(
    Object.keys(on({ keys: "responseStart domComplete" })[0])
      .filter((name) => name.startsWith(TIMING))
      .map((name) => name.slice(TIMING.length))
      .sort(),
    ["domComplete", "loadEventEnd", "navigationStart", "responseStart"],
  );
});

test("in a bundle, or without data-url, stick waits to be called", () => {
  for (const tag of [null, { dataset: {} }]) {
    const page = open("stick.js", { timing: LOADING, tag });
    page.load(LOAD);
    assert.equal(page.requests.length, 0);
    page.stick.send(URL_);
    page.run();
    assert.equal(page.requests.length, 1);
  }
});

test("a second copy of the script does not report a second time", () => {
  const first = open("stick.js", { timing: LOADING, tag: TAG });
  const second = open("stick.js", {
    timing: LOADING,
    tag: TAG,
    window: { stick: first.stick },
  });
  first.load(LOAD);
  second.load(LOAD);
  assert.equal(first.requests.length + second.requests.length, 1);
});

test("an element with the id stick does not stand in its way", () => {
  const page = open("stick.js", { window: { stick: { id: "stick" } } });
  assert.equal(typeof page.stick.send, "function");
});

test("the script adds one global, the modules none", () => {
  const PAGE = Object.keys(open("send.cjs").window);
  const globals = (file) => {
    const { window } = open(file);
    return Object.keys(window).filter((name) => !PAGE.includes(name));
  };
  assert.deepEqual(globals("stick.js"), ["stick"]);
  assert.deepEqual(globals("core.cjs"), []);
});
