// SPDX-License-Identifier: MPL-2.0
// The built site's own search, without a browser: what it answers to each query.
// `node docs/_ext/search.js docs/_build/html` reads a JSON list of queries and prints,
// for each, the pages that are found, the best first.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";

const site = process.argv[2];
const queries = JSON.parse(readFileSync(0, "utf8"));

const context = createContext({
  console,
  SPHINX_HIGHLIGHT_ENABLED: false,
  document: { getElementById: () => null },
  _: (text) => text,
  _ready() {},
});
context.window = context;
for (const script of ["_static/language_data.js", "_static/searchtools.js", "searchindex.js"])
  runInContext(readFileSync(join(site, script), "utf8"), context, { filename: script });
context.search = (query) =>
  runInContext("query => Search._performSearch(...Search._parseQuery(query))", context)(query);

const answers = queries.map((query) =>
  context
    .search(query)
    .reverse() // the page takes them from the end
    .map(([page]) => page),
);
process.stdout.write(JSON.stringify(answers));
