// SPDX-License-Identifier: MPL-2.0

/**
 * Return the Django view that made what `entry` tells of, if django-metlog names it:
 * `Server-Timing: view;desc="shop.views.cart"`. Safari before 16.4 does not tell.
 */
export const serverView = (entry: {
  serverTiming?: readonly PerformanceServerTiming[];
}): string | undefined =>
  entry.serverTiming?.find(({ name }) => name === "view")?.description;
