// SPDX-License-Identifier: MPL-2.0

// What can happen to a page. Each drives a browser through one visit, leaves it, and returns
// what is special about it, if anything.

import { eventually } from "../engines/program.js";

const go = (browser, tab, script) => browser.run(tab, `void setTimeout(() => ${script})`);

/** Long enough for a script that waits, sends in batches, or is slow to start. */
const rest = (ms = 1500) => new Promise((resolve) => setTimeout(resolve, ms));

const leave = async (browser, tab) => {
  await rest();
  await go(browser, tab, '(location.href = "other")');
  await rest(700);
};

const loaded = (path, ...refusals) => async (browser, visit) => {
  visit.refusals = [...refusals];
  const tab = await browser.open(visit.url(path));
  await visit.noted("loaded");
  await leave(browser, tab);
};

/** More than any script asks. */
const always = (status) => Array(99).fill(status);

/** The load ends without a network. */
const offline = async (browser, visit) => {
  const tab = await browser.open(visit.url("page?slow"));
  await visit.noted("interactive");
  await rest(300);
  await browser.network(tab, false);
  visit.away = true; // also while the page is left, when a browser forgets what it was told
  visit.release();
  const over = "performance.timing.loadEventEnd > 0";
  await eventually("the page to have loaded", () => browser.run(tab, over));
  await rest();
  return tab;
};

export default {
  "loaded, then left": loaded("page"),
  async "loaded, then closed"(browser, visit) {
    const tab = await browser.open(visit.url("page"));
    await visit.noted("loaded");
    await rest();
    await browser.close(tab);
  },
  "redirected": loaded("redirect"),
  async "back from the cache"(browser, visit) {
    const tab = await browser.open(visit.url("page"));
    await visit.noted("loaded");
    await rest();
    await go(browser, tab, '(location.href = "other")');
    await visit.noted("other");
    await go(browser, tab, "history.back()");
    await visit.noted("restored");
    await leave(browser, tab);
  },
  async "in a background tab"(browser, visit) {
    const tab = await browser.open(visit.url("page"), { background: true });
    await visit.noted("loaded");
    await rest();
    await browser.close(tab);
  },
  async "hidden while it loads"(browser, visit) {
    const tab = await browser.open(visit.url("page?slow"));
    await visit.noted("interactive");
    await browser.hide(tab);
    await rest(300);
    visit.release();
    await visit.noted("loaded");
    await rest();
    await browser.close(tab);
  },
  async "left while it loads"(browser, visit) {
    const tab = await browser.open(visit.url("page?slow"));
    await visit.noted("interactive");
    await rest(300);
    await go(browser, tab, '(location.href = "other")');
    await visit.noted("other");
    return { unfinished: true };
  },
  async "closed while it loads"(browser, visit) {
    const tab = await browser.open(visit.url("page?slow"));
    await visit.noted("interactive");
    await rest(300);
    await browser.close(tab);
    return { unfinished: true };
  },
  async "prerendered, then seen"(browser, visit) {
    const tab = await browser.open(visit.url("prerenderer"));
    await visit.noted("loaded");
    await rest();
    const early = visit.requests.length > 0;
    visit.release();
    await leave(browser, tab);
    return { early };
  },
  async "offline, then back"(browser, visit) {
    const tab = await offline(browser, visit);
    visit.away = false;
    await browser.network(tab, true);
    await leave(browser, tab);
  },
  async "offline until it is left"(browser, visit) {
    const tab = await offline(browser, visit);
    await leave(browser, tab); // to the browser's own page, that there is no network
  },
  "sendBeacon is missing": loaded("page?meddler=beacon+is+missing"),
  "sendBeacon is null": loaded("page?meddler=beacon+is+null"),
  "sendBeacon throws": loaded("page?meddler=beacon+throws"),
  "sendBeacon returns false": loaded("page?meddler=beacon+refuses"),
  "sendBeacon does nothing": loaded("page?meddler=beacon+does+nothing"),
  "fetch is rejected": loaded("page?meddler=fetch+is+rejected"),
  "nothing may outlive the page": loaded("page?meddler=nothing+may+outlive+the+page"),
  "the quota is full": loaded("page?meddler=quota+is+full"),
  "URLSearchParams is a polyfill": loaded("page?meddler=URLSearchParams+is+a+polyfill"),
  "run by another loader, as Rocket Loader does": loaded("page?loader"),
  "a strict policy": loaded("page?policy=strict"),
  "a policy without the address": loaded("page?policy=without+the+address"),
  "the address has moved (307)": loaded("page", ...always(307)),
  "the address has moved (301)": loaded("page", ...always(301)),
  "the first report is answered with 503": loaded("page", 503),
};
