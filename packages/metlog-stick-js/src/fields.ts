// SPDX-License-Identifier: MPL-2.0

/** A form, before it is encoded. */
export type Fields = Record<string, string | number | boolean>;

/**
 * What the browser knows about this page's load, under the names of the record view.
 *
 * Times are whole milliseconds from the start of the navigation, or, of a page that was
 * prerendered, from when it was shown. A milestone not reached is left out.
 * Throws if the browser has no Navigation Timing at all.
 */
export const loadFields = (milestones: readonly string[]): Fields => {
  const { timing = {} as PerformanceTiming, navigation } = performance;
  // Level 1's navigation has the type and the redirects under the same names as level 2;
  // every time then comes from level 1's timing.
  const entry: any = performance.getEntriesByType("navigation")[0] || navigation;
  const { activationStart = 0 } = entry;

  // Level 1 has what level 2 lacks: domLoading, and in WebKit everything up to
  // responseStart after a cross-origin redirect. Either can be negative in WebKit, after
  // back/forward.
  const reached = (name: string) =>
    entry[name] > 0
      ? entry[name]
      : timing[name as "domLoading"] - timing.navigationStart;

  const fields: Fields = {
    client: "stick",
    "window.performance.timing.navigationStart": 0,
    "window.performance.navigation.redirectCount": entry.redirectCount,
    "window.performance.navigation.type": activationStart
      ? 255
      : ({ navigate: 0, reload: 1, back_forward: 2 } as any)[entry.type] ??
        navigation.type,
  };

  for (const name of milestones) {
    // Chromium and Firefox set domComplete when a load is abandoned.
    if (
      reached(name) > 0 &&
      (reached("loadEventEnd") > 0 || !/^load|Comp/.test(name))
    ) {
      fields["window.performance.timing." + name] = Math.max(
        Math.round(reached(name) - activationStart),
        0,
      );
    }
  }
  return fields;
};
