// SPDX-License-Identifier: MPL-2.0

import { declined } from "./declined.js";
import { onLeave } from "./leave.js";
import type { Options } from "./options.js";
import { serverView } from "./view.js";

export type { Options };

/** The most visits in a report, and the most views to remember. */
const MOST = 50;

let called: unknown;

/**
 * Report to `url` how long page swaps took: Turbo's visits, frames and forms, requests of
 * htmx (2 and 4), and, without either, soft navigations, which only Chromium detects.
 *
 * They are timed from the request until the page has settled, in whole milliseconds, with
 * the Django view that answered. One report each time the page is hidden or left.
 */
export const sendVisits = (url: string, options: Options = {}): void => {
  if (called) return;
  called = true;
  if (declined(options)) return;

  const begun = new Map<unknown, { start: number; name: string }>();
  const settled: { duration: number; name: string }[] = [];
  const views = new Map<string, string>();
  let swaps: unknown;

  const begin = (key: unknown, to: string) => {
    swaps = true;
    // Some never settle: aborted requests, streams and failed forms.
    if (begun.size > MOST) begun.clear();
    begun.set(key, { start: performance.now(), name: new Request(to).url });
  };
  const settle = (key: unknown) => {
    const visit = begun.get(key);
    if (visit) settled.push({ duration: performance.now() - visit.start, name: visit.name });
    begun.delete(key);
  };
  const on = (type: string, handle: (detail: any, target: any) => void) =>
    addEventListener(type, (event: any) => handle(event.detail, event.target));

  on("htmx:beforeRequest", ({ xhr, pathInfo }) => begin(xhr, pathInfo.finalRequestPath));
  on("htmx:afterSettle", ({ xhr }) => settle(xhr));
  on("htmx:before:request", ({ ctx }) => begin(ctx, ctx.request.action));
  on("htmx:after:swap", ({ ctx }) => settle(ctx));

  on("turbo:click", () => begun.delete("turbo"));
  on("turbo:submit-start", ({ formSubmission }) =>
    begin("turbo", formSubmission.fetchRequest.url),
  );
  on("turbo:visit", ({ url, action }) => {
    // A visit after a form began with the form; a restored one does not ask the server.
    if (!begun.has("turbo") && action !== "restore") begin("turbo", url);
  });
  on("turbo:load", () => settle("turbo"));
  on("turbo:before-fetch-request", ({ url }, frame) => {
    if (frame.localName === "turbo-frame") begin(frame, url);
  });
  on("turbo:frame-load", (_, frame) => settle(begun.has(frame) ? frame : "turbo"));

  // The resource timing buffer holds 250 entries; an observer sees all of them. What Turbo
  // prefetches when the pointer is over a link arrives here before its visit begins.
  const see = (entries: PerformanceEntryList) => {
    for (const entry of entries) {
      const view = serverView(entry);
      if (views.size > MOST) views.clear();
      if (view) views.set(entry.name, view);
      if (entry.entryType === "soft-navigation" && !swaps) settled.push(entry);
    }
    settled.splice(MOST); // a page may swap parts of itself for days
  };
  const observer = new PerformanceObserver((list) => see(list.getEntries()));
  // Browsers ignore types that they do not know.
  observer.observe({ entryTypes: ["resource", "soft-navigation"] });

  onLeave(url, options, () => {
    see(observer.takeRecords());
    const visits = settled
      .splice(0)
      .map(({ duration, name }) => `${duration.toFixed()} ${views.get(name) || ""}`)
      .join("\n");
    return visits && { visits };
  });
};
