// SPDX-License-Identifier: MPL-2.0

import type { Fields } from "./fields.js";
import type { Options } from "./options.js";
import { post } from "./post.js";

/**
 * Report what `gathered` returns each time the page is hidden or left, unless it returns
 * nothing.
 */
export const onLeave = (
  url: string,
  { sample, data }: Options,
  gathered: () => Fields | false | "",
): void => {
  const report = () => {
    // A page that is left while visible gets pagehide before visibilitychange, and only
    // visibilitychange makes web-vitals report what it still holds back:
    // https://html.spec.whatwg.org/multipage/document-lifecycle.html#unload-a-document
    const fields = document.hidden && gathered();
    if (fields)
      post(url, { ...data, ...(sample && { sample }), client: "stick", ...fields });
  };
  // web-vitals reports in capturing handlers on the window, which run before these.
  addEventListener("visibilitychange", report);
  // For a page that was never visible.
  addEventListener("pagehide", report);
};
