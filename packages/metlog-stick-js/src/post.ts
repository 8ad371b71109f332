// SPDX-License-Identifier: MPL-2.0

import type { Fields } from "./fields.js";

/**
 * Return a form as the body of a request.
 *
 * A Blob carries its own type. A polyfill's URLSearchParams, which the browser does not
 * recognise, would be sent as text/plain.
 */
export const form = (fields: Fields): Blob =>
  new Blob([new URLSearchParams(fields as Record<string, string>) as any], {
    type: "application/x-www-form-urlencoded",
  });

/**
 * Post a form at once, so that it outlives the page, in the first way that works; if none
 * does, try again each time the network is back.
 *
 * sendBeacon may be missing, may throw if an extension has wrapped it, and returns false
 * when the keepalive quota is used up. Offline it accepts what is then lost, while fetch
 * fails. fetch with `keepalive` has the same quota, so the last way does without it.
 * The mode is "no-cors" because nobody reads the response: without it, a response that
 * another origin does not share would look like a report that was lost.
 *
 * It never throws and leaves no unhandled rejection, whatever is missing or blocked: those
 * would end up in the site's error tracker.
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
