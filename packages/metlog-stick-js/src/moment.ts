// SPDX-License-Identifier: MPL-2.0

/**
 * Call `report` in a task after the load event, and each time the page is hidden (with true)
 * or left, when the page may be gone before `report` returns.
 */
export const onLoadedOrLeft = (report: (outOfSight?: boolean) => void): void => {
  // In handlers of the load event and their microtasks, loadEventEnd is still 0.
  if (document.readyState === "complete") setTimeout(report);
  else addEventListener("load", () => setTimeout(report));
  // Being hidden is the last thing that many engines tell a page. A page that was never
  // visible only gets pagehide.
  addEventListener("pagehide", () => report());
  addEventListener("visibilitychange", () => document.hidden && report(true));
};
