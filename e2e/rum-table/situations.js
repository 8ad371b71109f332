// SPDX-License-Identifier: MPL-2.0

// What happens to a page. Each drives a browser through one visit, leaves it, and returns
// how many loads a script should have reported, if that is not one.

const go = (browser, tab, script) => browser.run(tab, `void setTimeout(() => ${script})`);

/** Long enough for a script that waits, sends in batches, or is slow to start. */
const rest = (ms = 1500) => new Promise((resolve) => setTimeout(resolve, ms));

const leave = async (browser, tab) => {
  await rest();
  await go(browser, tab, '(location.href = "other")');
  await rest(700);
};

const loaded = (path) => async (browser, visit) => {
  const tab = await browser.open(visit.url(path));
  await visit.noted("loaded");
  await leave(browser, tab);
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
  "sendBeacon throws": loaded("page?meddler=beacon+throws"),
  "sendBeacon is missing": loaded("page?meddler=beacon+is+null"),
  "sendBeacon refuses": loaded("page?meddler=beacon+refuses"),
  "the quota is full": loaded("page?meddler=quota+is+full"),
  "URLSearchParams is a polyfill": loaded("page?meddler=URLSearchParams+is+a+polyfill"),
  "run by another loader": loaded("page?loader"),
};
