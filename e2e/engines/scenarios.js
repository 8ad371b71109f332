// SPDX-License-Identifier: MPL-2.0

// Ways to load a page, and to interfere with it. Each drives a browser through a visit and returns the
// expected reports in order; a check after all of them finds any others.

import assert from "node:assert/strict";
import { eventually } from "./program.js";

const NAVIGATE = 0;
const RELOAD = 1;
const BACK_FORWARD = 2;
const OTHER = 255;

/** Pages. Chromium keeps six, the others fewer. */
const MORE_THAN_ARE_CACHED = 8;

/** Makes the page go somewhere, in a task: else the answer may be lost with the page. */
const go = (browser, tab, script) => browser.run(tab, `void setTimeout(() => ${script})`);

/** The browser's own account of the load, to compare the report with. */
const entry = async (browser, tab) =>
  JSON.parse(
    await browser.run(tab, 'JSON.stringify(performance.getEntriesByType("navigation")[0])'),
  );

/** What there is to be of a load that was given up. */
const abandoned = async (browser, visit) => {
  if (browser.constructor.silent) return [];
  await visit.reports(1);
  return [{ type: NAVIGATE, partial: true }];
};

/** A page whose interfaces somebody has meddled with. */
const meddled = (meddler) => async ({ browser, visit }) => {
  const tab = await browser.open(visit.url(`page?meddler=${encodeURIComponent(meddler)}`));
  await visit.reports(1);
  return [{ type: NAVIGATE, entry: await entry(browser, tab) }];
};

/** A page whose tag is not what runs the script. */
const loadedBy = (tag) => async ({ browser, visit }) => {
  const tab = await browser.open(visit.url(`page?tag=${encodeURIComponent(tag)}`));
  await visit.reports(1);
  return [{ type: NAVIGATE, entry: await entry(browser, tab) }];
};

/**
 * Waits until a page without a network has had time to find that out: four tries one after
 * the other are one more than stick's, and begin after them.
 */
export async function failing(browser, tab) {
  const tries = `void setTimeout(async () => {
    window.failed = 0;
    for (let i = 0; i < 4; i++) await fetch("note/lost").catch(() => window.failed++);
  })`;
  await browser.run(tab, tries);
  await eventually("tries to fail", async () => (await browser.run(tab, "window.failed")) === 4);
}

export default {
  async navigate({ browser, visit }) {
    const tab = await browser.open(visit.url("page"));
    await visit.reports(1);
    return [{ type: NAVIGATE, entry: await entry(browser, tab) }];
  },

  "beacon throws": meddled("beacon throws"),
  "beacon is missing": meddled("beacon is missing"),
  "beacon is null": meddled("beacon is null"),
  "beacon does nothing": meddled("beacon does nothing"),
  "beacon refuses": meddled("beacon refuses"),
  "fetch is rejected": meddled("fetch is rejected"),
  "nothing outlives the page": meddled("nothing may outlive the page"),
  "quota is full": meddled("quota is full"),
  "polyfilled form": meddled("URLSearchParams is a polyfill"),
  "run by a loader": loadedBy("a loader"),
  "run inline": loadedBy("inline"),

  async reload({ browser, visit }) {
    const tab = await browser.open(visit.url("page"));
    await visit.reports(1);
    await go(browser, tab, "location.reload()");
    await visit.reports(2);
    return [{ type: NAVIGATE }, { type: RELOAD, entry: await entry(browser, tab) }];
  },

  /** The page comes back as it was left: that is no load. */
  async "back, cached"({ browser, visit }) {
    const tab = await browser.open(visit.url("page"));
    await visit.reports(1);
    await go(browser, tab, '(location.href = "other")');
    await visit.noted("other");
    await go(browser, tab, "history.back()");
    await visit.noted("restored");
    return [{ type: NAVIGATE }];
  },

  /** The page is loaded anew. */
  async "back, not cached"({ browser, visit }) {
    const tab = await browser.open(visit.url("page"));
    await visit.reports(1);
    for (let i = 1; i <= MORE_THAN_ARE_CACHED; i++) {
      await go(browser, tab, `(location.href = "other?${i}")`);
      await visit.noted(`other?${i}`);
    }
    await go(browser, tab, `history.go(-${MORE_THAN_ARE_CACHED})`);
    await visit.reports(2);
    assert.ok(!visit.notes.has("restored"));
    return [{ type: NAVIGATE }, { type: BACK_FORWARD, entry: await entry(browser, tab) }];
  },

  async redirect({ browser, visit }) {
    const twice = `redirect?to=${encodeURIComponent("redirect?to=page")}`;
    const tab = await browser.open(visit.url(twice));
    await visit.reports(1);
    return [{ type: NAVIGATE, redirects: 2, entry: await entry(browser, tab) }];
  },

  /** Browsers keep another origin's redirects to themselves. */
  async "redirect from elsewhere"({ browser, visit }) {
    const page = encodeURIComponent(visit.url("page"));
    const tab = await browser.open(visit.url(`redirect?to=${page}`, "localhost"));
    await visit.reports(1);
    const nameless = browser.constructor.hidesRedirected;
    return [{ type: NAVIGATE, nameless, entry: await entry(browser, tab) }];
  },

  async "form post"({ browser, visit }) {
    const tab = await browser.open(visit.url("form"));
    await visit.reports(1);
    return [{ type: NAVIGATE, entry: await entry(browser, tab) }];
  },

  async "slow load"({ browser, visit }) {
    const tab = await browser.open(visit.url("page?slow"));
    await visit.noted("interactive");
    assert.equal(visit.received.length, 0);
    visit.release();
    await visit.reports(1);
    return [{ type: NAVIGATE, entry: await entry(browser, tab) }];
  },

  /** The load ends without a network, and the page is still there when it is back. */
  async "offline, then back"({ browser, visit }) {
    const tab = await browser.open(visit.url("page?slow"));
    await visit.noted("interactive");
    await browser.network(tab, false);
    visit.release();
    const loaded = async () =>
      (await browser.run(tab, "performance.timing.loadEventEnd > 0")) === true;
    await eventually("the page to have loaded", loaded);
    await failing(browser, tab);
    assert.equal(visit.received.length, 0);
    await browser.network(tab, true);
    await visit.reports(1);
    return [{ type: NAVIGATE, entry: await entry(browser, tab) }];
  },

  async "hidden tab"({ browser, visit }) {
    const tab = await browser.open(visit.url("page"), { background: true });
    await visit.reports(1);
    return [{ type: NAVIGATE, hidden: true, entry: await entry(browser, tab) }];
  },

  async "hidden during load"({ browser, visit }) {
    const tab = await browser.open(visit.url("page?slow"));
    await visit.noted("interactive");
    await browser.hide(tab);
    if (browser.constructor.defers) {
      const hidden = async () =>
        (await browser.run(tab, "document.visibilityState")) === "hidden";
      await eventually("the page to be hidden", hidden);
      assert.equal(visit.received.length, 0);
      visit.release();
      await visit.reports(1);
      return [{ type: NAVIGATE, hidden: true, entry: await entry(browser, tab) }];
    }
    await visit.reports(1);
    visit.release();
    return [{ type: NAVIGATE, partial: true }];
  },

  async "left before load"({ browser, visit }) {
    const tab = await browser.open(visit.url("page?slow"));
    await visit.noted("interactive");
    await go(browser, tab, '(location.href = "other")');
    await visit.noted("other");
    return await abandoned(browser, visit);
  },

  async "closed before load"({ browser, visit }) {
    const tab = await browser.open(visit.url("page?slow"));
    await visit.noted("interactive");
    await browser.close(tab);
    return await abandoned(browser, visit);
  },

  async prerender({ browser, visit }) {
    await browser.open(visit.url("prerenderer"));
    await visit.noted("prerendered");
    assert.equal(visit.received.length, 0);
    visit.release();
    await visit.reports(1);
    return [{ type: OTHER, prerendered: true }];
  },
};
