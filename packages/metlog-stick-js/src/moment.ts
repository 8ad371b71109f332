// SPDX-License-Identifier: MPL-2.0

/**
 * Call `report` in a task after the load event, and each time the page is hidden, then with
 * true, or left: then the page may be gone when `report` returns.
 */
export const onLoadedOrLeft = (report: (outOfSight?: boolean) => void): void => {
  // In the load event's handlers, and in their microtasks, loadEventEnd is still 0.
  if (document.readyState === "complete") setTimeout(report);
  else addEventListener("load", () => setTimeout(report));
  // Hidden is the last that many engines tell a page; pagehide also comes to a page that
  // was hidden all the time.
  addEventListener("pagehide", () => report());
  addEventListener("visibilitychange", () => document.hidden && report(true));
};
