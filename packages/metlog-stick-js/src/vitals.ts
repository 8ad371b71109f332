// SPDX-License-Identifier: MPL-2.0

import { onCLS, onFCP, onINP, onLCP, onTTFB, type Metric } from "web-vitals";
import { declined } from "./declined.js";
import type { Fields } from "./fields.js";
import { onLeave } from "./leave.js";
import type { Options } from "./options.js";
import { pageView } from "./view.js";

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

  let reported: unknown;
  onLeave(url, options, () => {
    if (reported || !Object.keys(vitals).length) return false;
    reported = true;
    const view = pageView();
    return { ...vitals, ...(view && { view }) };
  });
};
