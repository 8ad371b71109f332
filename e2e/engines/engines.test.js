// SPDX-License-Identifier: MPL-2.0

// stick in real browsers: four engines, each way to load a page, and exactly one correct
// report for each load. `npm run engines`; with CI set, no engine may be missing.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertReport } from "./report.js";
import Chromium from "./chromium.js";
import Firefox from "./firefox.js";
import scenarios from "./scenarios.js";
import { Sink } from "./sink.js";
import { print } from "./table.js";
import { WPE, WebKitGTK } from "./webkit.js";

const ENGINES = [Chromium, Firefox, WebKitGTK, WPE];
const QUIET_MS = 1000;

/** engine → scenario → "ok", "FAILED" or why the engine has no such thing */
const results = new Map(ENGINES.map((engine) => [engine.title, {}]));

for (const engine of ENGINES) {
  const optional = !process.env.CI && engine !== Chromium;
  const skip = !engine.path && optional && "not installed";

  describe(engine.title, { skip }, () => {
    const outcomes = {};
    let sink;

    before(async () => {
      assert.ok(engine.path, `${engine.title} is required here and not installed`);
      sink = await new Sink().start();
      const browser = await engine.start();
      try {
        for (const [name, drive] of Object.entries(scenarios)) {
          const visit = sink.visit(name.replace(/\W+/g, "-"));
          const outcome = (outcomes[name] = { visit, expected: [] });
          try {
            if (!engine.lacks[name]) outcome.expected = await drive({ browser, visit });
          } catch (error) {
            outcome.error = error;
          }
        }
        await browser.leave();
        // The one wait for nothing: whatever else would be sent has been by then.
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      } finally {
        await browser.stop();
      }
    });

    after(() => sink?.stop());

    for (const name of Object.keys(scenarios)) {
      test(name, () => {
        results.get(engine.title)[name] = "FAILED";
        const { visit, expected, error } = outcomes[name];
        if (error) throw error;
        assert.equal(visit.received.length, expected.length, "reports of this visit");
        for (const [i, request] of visit.received.entries())
          assertReport(request, { visit, engine, ...expected[i] });
        results.get(engine.title)[name] = expected.length
          ? "ok"
          : engine.lacks[name] ?? engine.silent;
      });
    }
  });
}

after(() => print(results, Object.keys(scenarios)));
