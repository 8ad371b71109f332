// SPDX-License-Identifier: MPL-2.0

// What a page reports after its load, in real browsers: swaps of real htmx and real Turbo,
// soft navigations, errors, vitals and their causes.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import Chromium from "./chromium.js";
import Firefox from "./firefox.js";
import { eventually } from "./program.js";
import { failing } from "./scenarios.js";
import { Sink } from "./sink.js";
import { WPE, WebKitGTK } from "./webkit.js";

const click = (browser, tab, id) =>
  browser.run(tab, `void setTimeout(() => document.getElementById("${id}").click())`);
const submit = (browser, tab, id) =>
  browser.run(tab, `void setTimeout(() => document.getElementById("${id}").requestSubmit())`);

/**
 * Leaves the page; returns what it reported in all, as one object a report, as soon as
 * there are fields that begin with each of those.
 */
async function leave(browser, tab, visit, ...begin) {
  await browser.run(tab, 'void setTimeout(() => { location.href = "other"; })');
  const reports = () =>
    visit.received.map(({ body }) => Object.fromEntries(new URLSearchParams(body)));
  const told = () => reports().flatMap((fields) => Object.keys(fields));
  for (const holds of begin)
    await eventually(`a report that holds ${holds}`, () =>
      told().some((name) => name.startsWith(holds)),
    );
  return reports();
}

/** Swaps as [view, plausible] pairs. */
function swaps(reports) {
  const held = reports.filter((fields) => "visits" in fields);
  assert.equal(held.length, 1, "one report of visits");
  return held[0].visits.split("\n").map((line) => {
    const [, ms, view] = line.match(/^([0-9]{1,5}) (.*)$/);
    assert.ok(ms < 20_000);
    return view;
  });
}

for (const engine of [Chromium, Firefox, WebKitGTK, WPE]) {
  const optional = !process.env.CI && engine !== Chromium;
  const skip = !engine.path && optional && "not installed";

  describe(engine.title, { skip }, () => {
    let sink;
    let browser;

    before(async () => {
      assert.ok(engine.path, `${engine.title} is required here and not installed`);
      sink = await new Sink().start();
      browser = await engine.start();
    });
    after(async () => {
      await browser?.stop();
      sink?.stop();
    });

    /** The views of a visit's parts, as far as the engine tells a page. */
    const views = (visit, ...parts) =>
      parts.map((part) => (engine.serverTiming ? `engines.${visit.name}${part}` : ""));

    for (const version of ["htmx", "htmx2"])
      test(`requests of ${version} are timed, with the view that answered`, async () => {
      const visit = sink.visit(version);
      const tab = await browser.open(visit.url(`htmx?version=${version}`));
      await visit.reports(1);
      await click(browser, tab, "get");
      await visit.noted("settled1");
      await submit(browser, tab, "post");
      await visit.noted("settled2");
      await click(browser, tab, "self");
      await visit.noted("settled3");
      const reports = await leave(browser, tab, visit, "visits");
      assert.deepEqual(swaps(reports), views(visit, ".part", ".part", ".part"));
    });

    test("visits, forms and frames of Turbo are timed, with the view that answered", async () => {
      const visit = sink.visit("turbo");
      const tab = await browser.open(visit.url("turbo"));
      await visit.reports(1);
      await visit.noted("settled1"); // the load
      await click(browser, tab, "inner");
      await visit.noted("settled2");
      await submit(browser, tab, "form");
      await visit.noted("settled3");
      await click(browser, tab, "back");
      await visit.noted("settled4");
      const reports = await leave(browser, tab, visit, "visits");
      assert.deepEqual(swaps(reports), views(visit, ".framed", ".next", ""));
    });

    // Only Chromium tells.
    if (engine === Chromium) test("a soft navigation is timed", async () => {
      const visit = sink.visit("soft");
      const tab = await browser.open(visit.url("soft"));
      await visit.reports(1);
      await browser.click(tab, "go");
      await visit.noted("gone");
      await visit.noted("soft");
      const reports = await leave(browser, tab, visit, "visits");
      assert.equal(swaps(reports).length, 1);
    });

    test("errors are counted by kind, ten a page, without a word of theirs", async () => {
      const visit = sink.visit("wrong");
      const tab = await browser.open(visit.url("wrong"));
      await visit.noted("gone-wrong");
      await leave(browser, tab, visit, "error");
      const bodies = visit.received.map(({ body }) => body).filter((b) => /&error=/.test(b));
      assert.equal(bodies.length, 1);
      assert.doesNotMatch(visit.received.map(({ body }) => body).join(), /secret/);
      const kinds = new URLSearchParams(bodies[0]).getAll("error");
      assert.equal(kinds.length, 10);
      const known = ["RangeError", "TypeError", "TypeError", "other", "resource"];
      assert.deepEqual(kinds.filter((kind) => kind !== "URIError").sort(), known);
    });

    if (engine.losesNetwork)
      test("what a page could not tell when it was hidden offline it tells later, once", async () => {
        const visit = sink.visit("offline");
        const tab = await browser.open(visit.url("wrong"));
        const is = (state) => async () =>
          (await browser.run(tab, "document.visibilityState")) === state;
        await visit.noted("gone-wrong");
        await browser.network(tab, false);
        await browser.hide(tab);
        await eventually("the page to be hidden", is("hidden"));
        await failing(browser, tab);
        await browser.network(tab, true);
        const holding = (holds) => visit.received.filter(({ body }) => holds.test(body));
        await eventually("the vitals", () => holding(/&TTFB=/).length > 0);
        await browser.show(tab);
        await eventually("the page to be seen", is("visible"));
        await leave(browser, tab, visit, "error");
        await eventually("what made the vitals", () => holding(/webvital.TTFB/).length > 0);
        for (const holds of [/&TTFB=/, /webvital.TTFB.value=/, /&error=/])
          assert.equal(holding(holds).length, 1, String(holds));
        assert.equal(new URLSearchParams(holding(/&error=/)[0].body).getAll("error").length, 10);
      });

    test("vitals come with their causes, and with the visitor's kind", async () => {
      const visit = sink.visit("htmx-vitals");
      const tab = await browser.open(visit.url("htmx"));
      await visit.reports(1);
      if (engine === Chromium) await visit.noted("painted");
      const reports = await leave(browser, tab, visit, "webvital", "TTFB");
      const causes = reports.filter((fields) => "webvital.TTFB.value" in fields);
      assert.equal(causes.length, 1);
      const [fields] = causes;
      assert.match(fields["webvital.TTFB.value"], /^[0-9.]+$/);
      assert.match(fields["webvital.TTFB.rating"], /^(good|needs-improvement|poor)$/);
      assert.match(fields["webvital.TTFB.id"], /^[\w-]+$/);
      assert.equal(fields["webvital.TTFB.navigation_type"], "navigate");
      if (engine === Chromium) assert.ok(fields["webvital.LCP.target"]);
      assert.ok(reports.some(({ TTFB }) => TTFB));
      for (const report of reports) {
        assert.match(report.device_type, /^(mobile|desktop)$/);
        assert.match(report.connection, /^(slow-2g|2g|3g|4g|unknown)$/);
      }
    });
  });
}
