// SPDX-License-Identifier: MPL-2.0

import { onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals/attribution";
import { declined } from "./declined.js";
import type { Fields } from "./fields.js";
import type { Options } from "./options.js";
import { pageView } from "./view.js";

export type { Options };

let called = false;

/**
 * Report to `url` what caused this page's web vitals: the element for each of them, and
 * the script for INP. One report, when the page is first hidden; if it cannot be sent
 * then, the next time it is hidden.
 *
 * Each vital becomes a message, not a metric, so report only a `sample` of your pages.
 */
export const sendAttribution = (url: string, options: Options = {}): void => {
  if (called) return;
  called = true;
  if (declined(options)) return;

  const fields: Fields = {};
  const note = ({ name, value, delta, rating, id, navigationType, attribution }: any) => {
    const { target, interactionTarget, largestShiftTarget, longestScript } = attribution;
    // After a restore, web-vitals starts over; those numbers are not about this load.
    if (navigationType !== "back-forward-cache")
      for (const [key, known] of Object.entries({
        value,
        delta,
        rating,
        id,
        navigation_type: navigationType,
        target: target || interactionTarget || largestShiftTarget || "",
        // Only the path of the URL.
        script: longestScript?.entry.sourceURL
          ? new URL(longestScript.entry.sourceURL, location.href).pathname
          : "",
      }))
        fields[`webvital.${name}.${key}`] = known;
  };

  // Not post.ts, which would be a third of the bytes that this adds to web-vitals.
  addEventListener("visibilitychange", () => {
    if (fields.client || !document.hidden || !Object.keys(fields)[0]) return;
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
      .catch(() => post()) // the keepalive quota may be used up
      .catch(() => {
        fields.client = "";
      });
  });

  try {
    // Report all changes, as in vitals.ts.
    for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB])
      (on as typeof onCLS)(note, { reportAllChanges: true });
  } catch {
    // The browser is too old for web-vitals.
  }
};
