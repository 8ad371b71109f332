// SPDX-License-Identifier: MPL-2.0

import { onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals/attribution";
import { declined } from "./declined.js";
import type { Fields } from "./fields.js";
import type { Options } from "./options.js";
import { pageView } from "./view.js";

export type { Options };

let called = false;

/**
 * Report to `url` what made this page's web vitals what they are: for each the element,
 * and for INP the script; one report, when the page is first hidden, or if it cannot be
 * sent then, the next time.
 *
 * These become messages, one for each vital, not metrics: report a `sample` of your pages.
 */
export const sendAttribution = (url: string, options: Options = {}): void => {
  if (called) return;
  called = true;
  if (declined(options)) return;

  const fields: Fields = {};
  const note = ({ name, value, delta, rating, id, navigationType, attribution }: any) => {
    const { target, interactionTarget, largestShiftTarget, longestScript } = attribution;
    // After a restore web-vitals begins anew; those are not this load's numbers.
    if (navigationType !== "back-forward-cache")
      for (const [key, known] of Object.entries({
        value,
        delta,
        rating,
        id,
        navigation_type: navigationType,
        target: target || interactionTarget || largestShiftTarget || "",
        // No more of an address than its path.
        script: longestScript ? new URL(longestScript.entry.sourceURL, location.href).pathname : "",
      }))
        fields[`webvital.${name}.${key}`] = known;
  };

  // Not post.ts, which would be a third of what this adds to web-vitals.
  addEventListener("visibilitychange", () => {
    if (fields.client || !document.hidden) return;
    fields.client = "stick";
    const post = async (keepalive?: boolean) =>
      fetch(url, {
        method: "POST",
        mode: "no-cors",
        keepalive,
        body: new Blob(
          [
            new URLSearchParams({
              ...options.data,
              sample: options.sample ?? 1,
              view: pageView() ?? "",
              ...fields,
            } as any) as any,
          ],
          { type: "application/x-www-form-urlencoded" },
        ),
      });
    post(true)
      .catch(() => post()) // the quota for what outlives a page may be full
      .catch(() => {
        fields.client = "";
      });
  });

  try {
    // Every change, as in vitals.ts.
    for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB])
      (on as typeof onCLS)(note, { reportAllChanges: true });
  } catch {
    // A browser too old for web-vitals.
  }
};
