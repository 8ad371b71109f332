// SPDX-License-Identifier: MPL-2.0

import { loadFields } from "./fields.js";
import { onLoadedOrLeft } from "./moment.js";
import { post } from "./post.js";

const MILESTONES = [
  "responseStart",
  "domLoading",
  "domInteractive",
  "domComplete",
  "loadEventEnd",
];

let reported = false;

/**
 * Reports this page load to `url`: the fields the first stick sent, without options.
 *
 * Once per page, however often it is called: in a task after the load event, or with what
 * is known when the page goes away first. A prerendered page reports when it is shown.
 */
export const send = (url: string): void => {
  if (document.prerendering) {
    // Captured, because this event does not bubble to the window.
    addEventListener("prerenderingchange", () => send(url), true);
  } else {
    onLoadedOrLeft(() => {
      if (!reported) post(url, () => loadFields(MILESTONES));
      // Only now: Firefox stops a script that still runs when its tab is closed, and
      // then fires the other event, which is a second chance.
      reported = true;
    });
  }
};
