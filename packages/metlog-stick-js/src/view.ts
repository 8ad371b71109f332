// SPDX-License-Identifier: MPL-2.0

/**
 * Return the Django view that answered the request of `entry`, if django-metlog names it:
 * `Server-Timing: view;desc="shop.views.cart"`. Safari before 16.4 does not expose that.
 */
export const serverView = (entry?: PerformanceEntry): string | undefined =>
  (entry as PerformanceResourceTiming | undefined)?.serverTiming?.find(
    ({ name }) => name === "view",
  )?.description;

/** Return the Django view that made this page. */
export const pageView = (): string | undefined =>
  serverView(performance.getEntriesByType("navigation")[0]);
