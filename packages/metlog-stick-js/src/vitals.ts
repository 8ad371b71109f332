// SPDX-License-Identifier: MPL-2.0

import { onCLS, onFCP, onINP, onLCP, onTTFB, type Metric } from "web-vitals";
import { declined } from "./declined.js";
import type { Fields } from "./fields.js";
import type { Options } from "./options.js";
import { post } from "./post.js";
import { serverView } from "./view.js";

let called = false;

/**
 * Report this page's Core Web Vitals, FCP and TTFB to `url`: one report, when the page
 * is first hidden or left, with the vitals known by then.
 *
 * LCP, INP, FCP and TTFB are whole milliseconds; CLS is the score, to three decimals.
 * A page that comes back from the back/forward cache is not reported again.
 */
export const sendVitals = (url: string, options: Options = {}): void => {
  if (called) return;
  called = true;
  if (declined(options)) return;

  const vitals: Fields = {};
  const note = ({ name, value, navigationType }: Metric) => {
    // After a restore web-vitals begins anew; those are not this load's numbers.
    if (navigationType !== "back-forward-cache")
      vitals[name] = name === "CLS" ? +value.toFixed(3) : Math.round(value);
  };
  try {
    // Every change, for the last word of web-vitals can come too early: an interaction
    // that waits for the browser to be idle is looked at after it, when the page is left.
    for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB])
      on(note, { reportAllChanges: true });
  } catch {
    // A browser too old for web-vitals.
  }

  let reported = false;
  const report = () => {
    // A page that is left in sight gets pagehide before visibilitychange, and only that
    // makes web-vitals tell what it still holds back:
    // https://html.spec.whatwg.org/multipage/document-lifecycle.html#unload-a-document
    if (reported || !document.hidden || !Object.keys(vitals).length) return;
    post(url, () => {
      const view = serverView((performance.getEntriesByType("navigation") as any)[0] || {});
      return {
        ...options.data,
        ...(options.sample && { sample: options.sample }),
        client: "stick",
        ...vitals,
        ...(view && { view }),
      };
    });
    reported = true; // after the report was made, as in send
  };
  // web-vitals tells its numbers in handlers on the window that capture, so before these.
  addEventListener("visibilitychange", report);
  addEventListener("pagehide", report);
};
