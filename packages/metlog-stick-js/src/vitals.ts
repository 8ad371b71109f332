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
 * is first hidden or left, with the vitals that are known by then.
 *
 * LCP, INP, FCP and TTFB are whole milliseconds; CLS is the score with three decimals.
 * A page that returns from the back/forward cache is not reported again.
 */
export const sendVitals = (url: string, options: Options = {}): void => {
  if (called) return;
  called = true;
  if (declined(options)) return;

  const vitals: Fields = {};
  const note = ({ name, value, navigationType }: Metric) => {
    // After a restore, web-vitals starts over; those numbers are not about this load.
    if (navigationType !== "back-forward-cache")
      vitals[name] = name === "CLS" ? +value.toFixed(3) : Math.round(value);
  };
  try {
    // Report all changes, because the final report of web-vitals can come too early: when
    // the page is left, it processes interactions that wait for an idle browser after it.
    for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB])
      on(note, { reportAllChanges: true });
  } catch {
    // The browser is too old for web-vitals.
  }

  let reported: unknown;
  onLeave(url, options, () => {
    if (reported || !Object.keys(vitals).length) return false;
    reported = true;
    const view = pageView();
    return { ...vitals, ...(view && { view }) };
  });
};
