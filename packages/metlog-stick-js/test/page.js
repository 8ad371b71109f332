// SPDX-License-Identifier: MPL-2.0

// A page to run a built script in, with clock, events and network in the test's hand.
// Real browsers run the same scripts in e2e/engines; what is tested here is what they do
// not do on demand: lacking an interface, refusing a request, or a moment in between.

import assert from "node:assert/strict";
import vm from "node:vm";
import { scripts } from "../build.js";

const built = await scripts();

/** An ordinary load, in both levels of Navigation Timing. */
export const LOAD = {
  navigation_entry: {
    type: "navigate",
    redirectCount: 0,
    fetchStart: 0.4,
    requestStart: 2.5,
    responseStart: 95.2,
    responseEnd: 97,
    domInteractive: 180,
    domContentLoadedEventStart: 180.3,
    domContentLoadedEventEnd: 181,
    domComplete: 250,
    loadEventStart: 250.1,
    loadEventEnd: 250.8,
  },
  performance_timing: { navigationStart: 1795472074305, domLoading: 1795472074405 },
  performance_navigation: { type: 0, redirectCount: 0 },
};

/** The same load before its load event. */
export const LOADING = {
  ...LOAD,
  navigation_entry: {
    ...LOAD.navigation_entry,
    domComplete: 0,
    loadEventStart: 0,
    loadEventEnd: 0,
  },
};

/**
 * Runs one of the built files in a new page; `stick` in it is what a module exports, or
 * the global of a script.
 *
 * `timing` is a snapshot: what the browser's timing interfaces say. `tag` is the script's
 * element. Properties of `window`, `document` and `navigator` replace the page's own.
 */
export function open(file, options = {}) {
  const { timing = LOAD, tag = null } = options;
  const events = new EventTarget();
  const tasks = [];
  const requests = [];
  const sent = (by) => (url, init) => {
    const { text, type } = by === "sendBeacon" ? init : init.body;
    if (type !== "application/x-www-form-urlencoded") throw new Error(`no form: ${type}`);
    const pairs = [...new URLSearchParams(text)];
    const request = { by, url: String(url), fields: Object.fromEntries(pairs), init };
    if (pairs.length !== Object.keys(request.fields).length)
      throw new Error(`a field came twice: ${text}`);
    requests.push(request);
    return request;
  };
  const page = {
    requests,
    tasks,
    /** The reports that left the page, each as an object of its fields. */
    get reports() {
      return requests.filter(({ by }) => by !== "fetchLater").map(({ fields }) => fields);
    },
    /** Fires an event at the window. */
    fire(type, properties = {}) {
      events.dispatchEvent(Object.assign(new Event(type), properties));
    },
    /** Runs every task that is due, and those they lead to. */
    run() {
      while (tasks.length) tasks.shift()();
    },
    /** What a browser does at the end of a load. */
    load(snapshot = timing) {
      page.document.readyState = "complete";
      page.fire("load");
      page.see(snapshot);
      page.run();
    },
    /** Fires an event whose handlers the browser stops half-way, as no page can see. */
    stopAt(type) {
      page.window.fire = () => page.fire(type);
      assert.throws(() => vm.runInContext("fire()", page.window, { timeout: 20 }), {
        code: "ERR_SCRIPT_EXECUTION_TIMEOUT",
      });
    },
    hide() {
      page.document.hidden = true;
      page.fire("visibilitychange");
    },
    /** From now on the timing interfaces say this. */
    see(snapshot) {
      page.window.performance = performanceOf(snapshot);
    },
  };
  page.document = {
    currentScript: tag,
    querySelector: (selector) => {
      assert.equal(selector, "script[src*=stick][data-url]");
      return options.tagLeftInPage ?? null;
    },
    hidden: false,
    readyState: "loading",
    ...options.document,
  };
  page.window = {
    AbortController,
    Blob: TextBlob,
    URLSearchParams,
    addEventListener: events.addEventListener.bind(events),
    document: page.document,
    fetch: async (...call) => sent("fetch")(...call), // as true as a Response
    navigator: {
      onLine: true,
      sendBeacon: (...call) => Boolean(sent("sendBeacon")(...call)),
      ...options.navigator,
    },
    performance: performanceOf(timing),
    setTimeout: (task) => void tasks.push(task),
    ...(options.fetchLater && {
      fetchLater(url, init) {
        const request = sent("fetchLater")(url, init);
        return { activated: false, request };
      },
    }),
    ...options.window,
  };
  page.window.window = page.window;
  vm.createContext(page.window);
  if (file.endsWith(".cjs")) {
    const module = { exports: {} };
    vm.runInContext(`(module) => {${built[file]}}`, page.window)(module);
    page.stick = module.exports;
  } else {
    vm.runInContext(built[file], page.window);
    page.stick = page.window.stick;
  }
  return page;
}

/** A Blob whose text can be read at once. */
class TextBlob {
  constructor(parts, { type }) {
    this.text = parts.join("");
    this.type = type;
  }
}

function performanceOf(snapshot) {
  const { navigation_entry: entry } = snapshot;
  return {
    timing: snapshot.performance_timing,
    navigation: snapshot.performance_navigation,
    now: () => 60_000,
    getEntriesByType: (type) => (entry && type === "navigation" ? [entry] : []),
  };
}
