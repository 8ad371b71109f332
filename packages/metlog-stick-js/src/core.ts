// SPDX-License-Identifier: MPL-2.0

// Everything is in one file, because a module costs bytes. The reasons for each line are in
// fields.ts, moment.ts and post.ts, which do the same with options.

let reported: unknown;

/**
 * Report this page load to `url`, on the page's own origin: the fields that the first stick
 * sent, without options.
 *
 * Reports once per page, however often it is called: in a task after the load event, or, if
 * the page goes away first, with what is known then. A prerendered page reports once shown.
 */
export const send = (url: string): void => {
  if (document.prerendering) {
    // Captured, because this event does not bubble to the window.
    addEventListener("prerenderingchange", () => send(url), true);
    return;
  }
  const report = () => {
    // Set only after post has returned: Firefox stops a script that is still running when
    // its tab is closed, and then fires the other event, which is a second chance.
    reported = reported || post(url);
  };
  if (document.readyState === "complete") setTimeout(report);
  else addEventListener("load", () => setTimeout(report));
  addEventListener("visibilitychange", () => document.hidden && report());
  addEventListener("pagehide", report);
};

const post = async (url: string) => {
  for (const way of [0, 1, 2])
    try {
      const { timing = {} as PerformanceTiming, navigation } = performance;
      const entry: any = performance.getEntriesByType("navigation")[0] || navigation;
      const { activationStart = 0 } = entry;
      const reached = (name: string) =>
        entry[name] > 0
          ? entry[name]
          : timing[name as "domLoading"] - timing.navigationStart;

      // No value needs encoding.
      let form =
        "client=stick&window.performance.timing.navigationStart=0" +
        "&window.performance.navigation.redirectCount=" +
        entry.redirectCount +
        "&window.performance.navigation.type=" +
        (activationStart
          ? 255
          : // navigate, reload, back_forward
            ({ n: 0, r: 1, b: 2 } as any)[entry.type[0]] ?? navigation.type);
      for (const name of "responseStart domLoading domInteractive domComplete loadEventEnd".split(" "))
        if (reached(name) > 0 && (reached("loadEventEnd") > 0 || !/^load|Comp/.test(name)))
          form +=
            "&window.performance.timing." +
            name +
            "=" +
            Math.max(reached(name) - activationStart, 0).toFixed();

      const body = new Blob([form], { type: "application/x-www-form-urlencoded" });
      if (
        way
          ? await fetch(url, { method: "POST", body, keepalive: way < 2 })
          : navigator.sendBeacon(url, body)
      )
        return;
    } catch {}
};
