// SPDX-License-Identifier: MPL-2.0

import type { Fields } from "./fields.js";

/**
 * Posts a form, at once and so that it outlives the page.
 *
 * Nothing is thrown and no rejection left over, whatever is missing or blocked: it would
 * land in the site's error tracker.
 */
export const post = async (url: string, fields: () => Fields): Promise<void> => {
  try {
    const body = new URLSearchParams(fields() as Record<string, string>);
    // sendBeacon returns false when the browser's quota is full or a blocker refuses.
    navigator.sendBeacon?.(url, body) ||
      (await fetch(url, { method: "POST", body, keepalive: true }));
  } catch {}
};
