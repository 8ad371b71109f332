// SPDX-License-Identifier: MPL-2.0

import type { Options } from "./options.js";

export type { Options };

/** How many more errors of this page may be counted: a loop must not flood the server. */
let left: number;

/**
 * Report to `url` how many errors of each kind this page had: one report each time it is
 * hidden, with at most ten errors per page, and nothing of their messages.
 *
 * A kind is the name of the error's class if that ends in "Error" and is not longer than 35
 * characters, `resource` if an element could not load, or `other`. Takes `sample` and
 * `respectGpc`.
 */
export const sendErrors = (
  url: string,
  { sample = 1, respectGpc }: Pick<Options, "sample" | "respectGpc"> = {},
): void => {
  if (left < 11) return; // called before
  left = 10;
  if (Math.random() >= sample || (respectGpc && navigator.globalPrivacyControl)) return;
  let errors = "";

  const note = ({ target, error, reason = error }: any) => {
    if (left-- > 0)
      try {
        errors +=
          "&error=" +
          (target !== window ? "resource" : /^\w{0,30}Error$/.exec(reason.name)![0]);
      } catch {
        // It has another name, or none, or one that cannot be read.
        errors += "&error=other";
      }
  };
  addEventListener("error", note, true); // captured, because an element's error does not bubble
  addEventListener("unhandledrejection", note);

  addEventListener("visibilitychange", () => {
    if (errors && document.hidden) {
      const noted = errors;
      errors = "";
      // Not post.ts, which would be half of this file's size.
      const post = async (keepalive?: boolean) =>
        fetch(url, {
          method: "POST",
          mode: "no-cors",
          keepalive,
          body: new Blob(
            [
              "client=stick&sample=" +
                sample +
                "&view=" +
                // Not view.ts, for the same reason.
                (
                  performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming
                )?.serverTiming?.find((entry) => entry.name === "view")?.description +
                noted,
            ],
            { type: "application/x-www-form-urlencoded" },
          ),
        });
      post(true)
        .catch(() => post()) // the keepalive quota may be used up
        .catch(() => {
          errors += noted;
        });
    }
  });
};
