// SPDX-License-Identifier: MPL-2.0

import type { Fields } from "./fields.js";
import type { Options } from "./options.js";
import { post } from "./post.js";

/**
 * Report what `gathered` returns each time the page is hidden or left; nothing while it
 * returns nothing.
 */
export const onLeave = (
  url: string,
  { sample, data }: Options,
  gathered: () => Fields | false | "",
): void => {
  const report = () => {
    // A page that is left in sight gets pagehide before visibilitychange, and only that
    // makes web-vitals tell what it still holds back:
    // https://html.spec.whatwg.org/multipage/document-lifecycle.html#unload-a-document
    const fields = document.hidden && gathered();
    if (fields)
      post(url, { ...data, ...(sample && { sample }), client: "stick", ...fields });
  };
  // web-vitals tells its numbers in handlers on the window that capture, so before these.
  addEventListener("visibilitychange", report);
  // For a page that was hidden all the time.
  addEventListener("pagehide", report);
};
