// SPDX-License-Identifier: MPL-2.0

import { declined } from "./declined.js";
import { loadFields } from "./fields.js";
import { onLoadedOrLeft } from "./moment.js";
import type { Options } from "./options.js";
import { post } from "./post.js";
import { serverView } from "./view.js";

export interface LoadOptions extends Options {
  /** Names of the Navigation Timing milestones to send. Default: all twenty. */
  keys?: readonly string[];
}

const MILESTONES = [
  "unloadEventStart",
  "unloadEventEnd",
  "redirectStart",
  "redirectEnd",
  "fetchStart",
  "domainLookupStart",
  "domainLookupEnd",
  "connectStart",
  "connectEnd",
  "secureConnectionStart",
  "requestStart",
  "responseStart",
  "responseEnd",
  "domLoading",
  "domInteractive",
  "domContentLoadedEventStart",
  "domContentLoadedEventEnd",
  "domComplete",
  "loadEventStart",
  "loadEventEnd",
];

let called = false;

/**
 * Reports this page load to `url`.
 *
 * Once per page, however often it is called: in a task after the load event, or with what
 * is known when the page goes away first. A prerendered page reports when it is shown.
 */
export const send = (url: string, options: LoadOptions = {}): void => {
  if (document.prerendering) {
    // Captured, because this event does not bubble to the window.
    addEventListener("prerenderingchange", () => send(url, options), true);
    return;
  }
  if (called) return;
  called = true;
  if (declined(options)) return;

  let { hidden } = document;
  let reported = false;
  let deferred: unknown;
  const deferral = new AbortController();

  const fields = () => {
    const entry: any = performance.getEntriesByType("navigation")[0] || {};
    const { activationStart } = entry;
    const view = serverView(entry);
    // loadEventEnd is the proof of a load, so it is sent with any choice of keys.
    const load = loadFields([...(options.keys || MILESTONES), "loadEventEnd"]);
    return {
      ...options.data,
      ...load,
      ...(!("window.performance.timing.loadEventEnd" in load) && { partial: 1 }),
      ...(hidden && { hidden: 1 }),
      ...(activationStart && { activationStart: Math.round(activationStart) }),
      ...(view && { view }),
    };
  };

  onLoadedOrLeft((left) => {
    // With a deferred report to fall back on, a page may go on loading out of sight.
    if (deferred && left?.type === "visibilitychange") hidden = true;
    else if (!reported) {
      post(url, fields);
      // Only now: Firefox stops a script that still runs when its tab is closed, and
      // then fires the other event, which is a second chance.
      reported = true;
      deferral.abort();
    }
  });

  // Chromium may close a loading tab without an event, but sends what was deferred.
  // In a task of its own, for the first call takes some milliseconds.
  setTimeout(() => {
    if (reported) return;
    try {
      const { signal } = deferral;
      deferred = fetchLater(url, { method: "POST", body: new URLSearchParams(fields()), signal });
    } catch {}
  });
};
