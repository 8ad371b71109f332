// SPDX-License-Identifier: MPL-2.0

import { MILESTONE, type Milestone } from "./milestones.js";
import { serverView } from "./view.js";

/** The fields of a form, before it is encoded. */
export type Fields = Record<string, string | number | boolean>;

/**
 * Return what the browser knows about this page's load, under the record view's names.
 *
 * Times are whole milliseconds since the start of the navigation, or, for a prerendered
 * page, since it was shown. A milestone that was not reached is left out. `hidden` is
 * whether nobody could see the load.
 * Throws if the browser has no Navigation Timing at all.
 */
export const loadFields = (keys?: readonly Milestone[], hidden?: unknown): Fields => {
  const { timing = {} as PerformanceTiming, navigation } = performance;
  // Level 1's navigation has the type and the redirects under the same names as level 2.
  // All times then come from level 1's timing.
  const entry: any = performance.getEntriesByType("navigation")[0] || navigation;
  const { activationStart = 0 } = entry;
  const view = serverView(entry);

  // Level 1 has what level 2 lacks: domLoading, and in WebKit, after a cross-origin
  // redirect, everything up to responseStart. In WebKit, both can be negative after
  // back/forward.
  const reached = (name: string) =>
    entry[name] > 0
      ? entry[name]
      : timing[name as Milestone] - timing.navigationStart;

  const fields: Fields = {
    client: "stick",
    "window.performance.timing.navigationStart": 0,
    "window.performance.navigation.redirectCount": entry.redirectCount,
    "window.performance.navigation.type": activationStart
      ? 255
      : // navigate, reload, back_forward
        (({ n: 0, r: 1, b: 2 }) as any)[entry.type[0]] ?? navigation.type,
  };

  // The names are properties of the interfaces' prototypes, so there is no list to ship.
  for (const source of [timing, entry])
    for (const name in source)
      if (
        // loadEventEnd proves the load, so it is sent whatever the keys.
        ((keys?.includes(name as Milestone) ?? MILESTONE.test(name)) ||
          name === "loadEventEnd") &&
        reached(name) > 0 &&
        // Chromium and Firefox also set domComplete when a load is abandoned.
        (reached("loadEventEnd") > 0 || !/^l|Comp/.test(name))
      )
        fields["window.performance.timing." + name] = Math.max(
          reached(name) - activationStart,
          0,
        ).toFixed();

  if (!(reached("loadEventEnd") > 0)) fields.partial = 1;
  // In a page with <iframe name="hidden">, document.hidden is that frame, of which nothing
  // can be asked if it is of another origin.
  if (hidden === true) fields.hidden = 1;
  if (activationStart) fields.activationStart = activationStart.toFixed();
  if (view) fields.view = view;
  return fields;
};
