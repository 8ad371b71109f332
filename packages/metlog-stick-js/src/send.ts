// SPDX-License-Identifier: MPL-2.0

import { declined } from "./declined.js";
import { loadFields } from "./fields.js";
import type { Milestone } from "./milestones.js";
import { onLoadedOrLeft } from "./moment.js";
import type { Options } from "./options.js";
import { form, post } from "./post.js";

export type { Milestone, Options };

export interface LoadOptions extends Options {
  /** The Navigation Timing milestones to send. Default: all twenty. */
  keys?: readonly Milestone[];
}

let called: unknown;

/**
 * Report this page load to `url`.
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
  let deferred: unknown;
  let reported: unknown;
  const deferral = new AbortController();

  const fields = () => ({
    ...options.data,
    ...(options.sample && { sample: options.sample }),
    ...loadFields(options.keys),
    ...(hidden && { hidden: 1 }),
  });

  onLoadedOrLeft((outOfSight) => {
    // With a deferred report to fall back on, a page may go on loading out of sight.
    if (deferred && outOfSight) hidden = true;
    else if (!reported)
      try {
        // Noted when post has returned: Firefox stops a script that still runs when its tab
        // is closed, and then fires the other event, which is a second chance.
        reported = post(url, fields());
        deferral.abort();
      } catch {
        // A browser without Navigation Timing.
      }
  });

  // Chromium may close a loading tab without an event, but sends what was deferred.
  // In a task of its own, for the first call takes some milliseconds.
  setTimeout(() => {
    if (reported) return;
    try {
      deferred = fetchLater(url, {
        method: "POST",
        body: form(fields()),
        signal: deferral.signal,
      });
    } catch {}
  });
};
