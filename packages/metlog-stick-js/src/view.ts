// SPDX-License-Identifier: MPL-2.0

/**
 * The Django view that made this page, if django-metlog names it:
 * `Server-Timing: view;desc="shop.views.cart"`.
 */
export const serverView = (entry?: PerformanceEntry): string | undefined =>
  (entry as PerformanceNavigationTiming | undefined)?.serverTiming?.find(
    ({ name }) => name === "view",
  )?.description;
