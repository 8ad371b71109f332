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
 * Reports once per page, however often it is called: in a task after the load event, or, if
 * the page goes away first, with what is known then. A prerendered page reports once shown.
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
    ...loadFields(options.keys, hidden),
  });

  onLoadedOrLeft((outOfSight) => {
    // With a deferred report to fall back on, a hidden page may go on loading.
    if (deferred && outOfSight) hidden = true;
    else if (!reported)
      try {
        // Set only after post has returned: Firefox stops a script that is still running
        // when its tab is closed, and then fires the other event, which is a second chance.
        reported = post(url, fields());
        deferral.abort();
      } catch {
        // The browser has no Navigation Timing.
      }
  });

  // Chromium may close a loading tab without firing an event, but sends what was deferred.
  // This is a task of its own because the first call takes a few milliseconds.
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
