// SPDX-License-Identifier: MPL-2.0

// `npm run rum-table`: situations × scripts in Chromium, as a Markdown table. There should be
// one report per load: none before anybody saw the page, none for a page that returns from
// the cache, and none that claims a load ended if it did not.

import { writeFileSync } from "node:fs";
import { availableParallelism, release, totalmem, type } from "node:os";
import Chromium from "../engines/chromium.js";
import { Sink } from "./sink.js";
import scripts from "./scripts.js";
import situations from "./situations.js";

/** How often each visit is made; more with `--times=10`. */
const TIMES = Number(process.argv.join(" ").match(/--times=(\d+)/)?.[1] ?? 3);

/** One cell: what became of one visit. */
function verdict(visit, { unfinished, early } = {}) {
  const loads = visit.loads();
  if (early) return "too early";
  if (loads.length === 0) return "never";
  if (loads.length > 1) return `${loads.length} times`;
  return unfinished && loads[0] ? "wrong" : "once";
}

async function column(script) {
  const sink = await new Sink(script).start();
  const cells = {};
  const browser = await Chromium.start();
  try {
    const visits = [];
    for (const [name, drive] of Object.entries(situations))
      for (let time = 0; time < TIMES; time++) {
        const visit = sink.visit(`${name.replace(/\W+/g, "-")}-${time}`);
        let facts;
        try {
          facts = await drive(browser, visit);
        } catch (error) {
          facts = { failed: error.message };
        }
        visits.push([name, visit, facts]);
      }
    // fetchLater and batches may take their time.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    for (const [name, visit, facts] of visits)
      (cells[name] ??= []).push(facts?.failed ? `not seen (${facts.failed})` : verdict(visit, facts));
  } finally {
    await browser.stop();
    sink.stop();
  }
  return cells;
}

/** "once" if it always was so, else how often each. */
function cell(verdicts) {
  const counts = {};
  for (const one of verdicts) counts[one] = (counts[one] ?? 0) + 1;
  const kinds = Object.keys(counts);
  if (kinds.length === 1) return kinds[0] === "once" ? "**once**" : kinds[0];
  return kinds.map((kind) => `${kind} ${counts[kind]} of ${verdicts.length}`).join(", ");
}

const columns = await Promise.all(scripts.map(column));

const { product } = await (async () => {
  const browser = await Chromium.start();
  try {
    return await browser.call("Browser.getVersion");
  } finally {
    await browser.stop();
  }
})();

const machine = [
  `${type()} ${release().match(/^[0-9.]+[0-9]/)[0]}`,
  `Node ${process.version.slice(1)}`,
  `${availableParallelism()} cores`,
  `${Math.round(totalmem() / 2 ** 30)} GB`,
].join(", ");

const rows = Object.keys(situations).map((name) => [
  name,
  ...columns.map((cells) => cell(cells[name])),
]);
const line = (cells) => `| ${cells.join(" | ")} |`;
const text = [
  line(["", ...scripts.map(({ title }) => title)]),
  line(["---", ...scripts.map(() => "---")]),
  ...rows.map(line),
  "",
  `Seen on ${new Date().toISOString().slice(0, 10)} with ${product.replace("/", " ")} on ${machine}, each visit ${TIMES} times:`,
  `${scripts.map(({ version }) => version).join("; ")}.`,
  "",
].join("\n");
console.log(text);
if (process.argv.includes("--write"))
  writeFileSync(new URL("../../docs/measured/rum.md", import.meta.url), text);
