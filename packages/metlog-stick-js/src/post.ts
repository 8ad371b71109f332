// SPDX-License-Identifier: MPL-2.0

import type { Fields } from "./fields.js";

/**
 * Return a form as a request's body.
 *
 * A Blob says its type itself. A URLSearchParams that is a polyfill's and not the browser's
 * own would be sent as text/plain.
 */
export const form = (fields: Fields): Blob =>
  new Blob([new URLSearchParams(fields as Record<string, string>) as any], {
    type: "application/x-www-form-urlencoded",
  });

/**
 * Post a form, at once and so that it outlives the page, in the first way that works; if
 * none does, again each time the network is back.
 *
 * sendBeacon may be missing, may throw if an extension has wrapped it, and returns false
 * when the quota for what outlives a page is full. Offline it takes what is then lost:
 * fetch says so. fetch with `keepalive` has the same quota, so the last way is without.
 * Nobody reads the answer: "no-cors", because otherwise an answer that another origin keeps
 * to itself would look like a report that was lost.
 *
 * Nothing is thrown and no rejection left over, whatever is missing or blocked: it would
 * land in the site's error tracker.
 */
export const post = async (url: string, fields: Fields): Promise<void> => {
  for (let way = 0; ; way++)
    try {
      if (way > 2) await new Promise((again) => addEventListener("online", again));
      const body = form(fields);
      if (
        way || !navigator.onLine
          ? await fetch(url, { method: "POST", body, mode: "no-cors", keepalive: way < 2 })
          : navigator.sendBeacon(url, body)
      )
        return;
    } catch {}
};
