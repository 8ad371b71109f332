// SPDX-License-Identifier: MPL-2.0

// What is shipped: to npm, and to django-metlog.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  COPIES,
  STATIC,
  WEB_VITALS,
  overweight,
  scripts,
  weights,
} from "../build.js";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const ENTRIES = {
  ".": "send",
  "./attribution": "attribution",
  "./core": "core",
  "./errors": "errors",
  "./visitor": "visitor",
  "./visits": "visits",
  "./vitals": "vitals",
};
const manifest = JSON.parse(readFileSync(join(HERE, "package.json")));
const fresh = await scripts();
const bytes = await weights(fresh);

for (const name of COPIES) {
  test(`django-metlog serves ${name} as it is built`, () => {
    const copy = readFileSync(join(STATIC, name), "utf8");
    // Not deepEqual: the difference of two minified lines helps nobody.
    assert.ok(
      copy === fresh[name],
      `django_metlog/static/${name} is not what the sources make. Repair it with:\n` +
        "    npm run build --workspace metlog-stick-js",
    );
  });
}

test("every script keeps within its limit", () => {
  assert.deepEqual(overweight(bytes), []);
});

test("a script over its limit is told of", () => {
  for (const [name, limit] of [
    ["core.js", 512],
    ["send.js", 896],
    ["stick.js", 896],
    ["visits.js", 900],
    ["errors.js", 400],
    ["attribution.js beside web-vitals", 400],
  ])
    assert.deepEqual(overweight({ ...bytes, [name]: limit + 1 }), [
      `${name} weighs ${limit + 1} bytes, at most ${limit} are allowed`,
    ]);
});

test("the README tells the sizes", () => {
  const readme = readFileSync(join(HERE, "README.md"), "utf8");
  for (const [name, title] of [
    ["core.js", "metlog-stick-js/core"],
    ["send.js", "metlog-stick-js"],
    ["stick.js", "stick.js"],
    ["visits.js", "metlog-stick-js/visits"],
    ["errors.js", "metlog-stick-js/errors"],
    ["attribution.js beside web-vitals", "metlog-stick-js/attribution` beside `web-vitals"],
  ])
    assert.match(readme, new RegExp(`\\| \`${title}\` \\| ${bytes[name]} \\|`));
});

test("the copies name no source map, for Django would look for it", () => {
  for (const name of COPIES) assert.doesNotMatch(fresh[name], /sourceMappingURL/);
});

test("stick-vitals.js says whose work it includes, in which version", () => {
  const version = manifest.devDependencies["web-vitals"];
  assert.match(version, /^\d+\.\d+\.\d+$/); // pinned
  assert.ok(fresh["stick-vitals.js"].startsWith(`/*! Includes web-vitals ${version}, `));
  assert.match(fresh["stick-vitals.js"], /Copyright 2020 Google LLC, Apache License 2.0/);
  assert.match(fresh["stick-vitals.LICENSE.txt"], /Apache License/);
});

test("stick-vitals.js does what stick.js does", () => {
  const fields = /window\.performance\.[a-z]+\.\w*/g;
  const of = (name) => [...new Set(fresh[name].match(fields))].sort();
  assert.deepEqual(of("stick-vitals.js"), of("stick.js"));
});

test("whatever may be imported is in the package, and CDNs serve the script", () => {
  const files = Object.values(manifest.exports).flatMap((target) =>
    typeof target === "string"
      ? [target]
      : Object.values(target).flatMap((condition) => Object.values(condition)),
  );
  const named = [...files, manifest.main, manifest.module, manifest.types];
  for (const file of [...named, manifest.unpkg, manifest.jsdelivr])
    assert.ok(packed.includes(file.replace("./", "")), file);
  // TypeScript's old resolution knows no exports.
  for (const [name, [types]] of Object.entries(manifest.typesVersions["*"]))
    assert.equal(types, manifest.exports[`./${name}`].import.types);
  assert.deepEqual(
    Object.keys(manifest.typesVersions["*"]).map((name) => `./${name}`),
    Object.keys(ENTRIES).slice(1),
  );
});

test("nothing is needed at run time; web-vitals only by who imports vitals", () => {
  assert.equal(manifest.dependencies, undefined);
  assert.deepEqual(manifest.peerDependenciesMeta, { "web-vitals": { optional: true } });
  assert.equal(manifest.sideEffects, false);
  for (const name of ["send.js", "core.js", "errors.js", "visitor.js", "visits.js"])
    assert.doesNotMatch(fresh[name], /\bimport\b|\brequire\b/);
});

test("each condition of exports names its types first", () => {
  for (const [entry, name] of Object.entries(ENTRIES))
    assert.equal(
      JSON.stringify(manifest.exports[entry]),
      JSON.stringify({
        import: { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
        require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
      }),
    );
});

/** The package as a site would have it: packed, and unpacked into node_modules. */
let site;
let packed;

before(() => {
  site = mkdtempSync(join(tmpdir(), "stick-"));
  const run = (...command) =>
    execFileSync(command[0], command.slice(1), { cwd: HERE, encoding: "utf8", stdio: "pipe" });
  run("node", "build.js", "--no-copies"); // as `npm pack` would, among its own output
  const [archive] = JSON.parse(
    run("npm", "pack", "--json", "--ignore-scripts", "--pack-destination", site),
  );
  packed = archive.files.map(({ path }) => path).sort();
  mkdirSync(join(site, "node_modules/metlog-stick-js"), { recursive: true });
  execFileSync("tar", [
    ...["-xzf", join(site, archive.filename)],
    ...["-C", join(site, "node_modules/metlog-stick-js"), "--strip-components=1"],
  ]);
  symlinkSync(WEB_VITALS, join(site, "node_modules/web-vitals")); // the peer
});

after(() => rmSync(site, { recursive: true }));

test("npm gets the builds, their types and maps, and the papers", () => {
  const modules = Object.values(ENTRIES).flatMap((name) =>
    [".cjs", ".cjs.map", ".d.cts", ".d.ts", ".js", ".js.map"].map((end) => name + end),
  );
  const scripts = COPIES;
  const others = ["milestones", "options"].flatMap((name) => [name + ".d.cts", name + ".d.ts"]);
  assert.deepEqual(
    packed,
    [
      ...["CHANGELOG.md", "LICENSE", "README.md", "package.json"],
      ...[...modules, ...scripts, ...others].map((name) => `dist/${name}`),
    ].sort(),
  );
});

test("import and require give the same, and do nothing by themselves", async () => {
  const require = createRequire(join(site, "site.js"));
  const exported = {
    "": ["send"],
    "/attribution": ["sendAttribution"],
    "/core": ["send"],
    "/errors": ["sendErrors"],
    "/visitor": ["connectionClass", "deviceType"],
    "/visits": ["sendVisits"],
    "/vitals": ["sendVitals"],
  };
  for (const [entry, names] of Object.entries(exported)) {
    const file = join(site, `imports${entry.replace("/", "-")}.mjs`);
    writeFileSync(file, `export * from "metlog-stick-js${entry}";`);
    assert.deepEqual(Object.keys(await import(file)), names);
    assert.deepEqual(Object.keys(require(`metlog-stick-js${entry}`)).sort(), names);
  }
});

test("the types hold what the options promise, for modules and for CommonJS", () => {
  const use = (how) => `
    ${how("{ send }", "metlog-stick-js")}
    ${how("core", "metlog-stick-js/core")}
    ${how("{ sendVitals }", "metlog-stick-js/vitals")}
    ${how("{ sendAttribution }", "metlog-stick-js/attribution")}
    ${how("{ sendErrors }", "metlog-stick-js/errors")}
    ${how("{ sendVisits }", "metlog-stick-js/visits")}
    ${how("{ connectionClass, deviceType }", "metlog-stick-js/visitor")}
    send("/record", { data: { device_type: deviceType(), connection: connectionClass() } });
    sendAttribution("/record", { sample: 0.1 });
    sendVisits("/record", { respectGpc: true });
    sendErrors("/record", { sample: 0.1, respectGpc: true });
    // @ts-expect-error no fields of one's own
    sendErrors("/record", { data: { release: "1.2" } });
    send("/record");
    send("/record", { sample: 0.5, keys: ["domComplete"], respectGpc: true });
    send("/record", { data: { release: "1.2", beta: true, users: 3 } });
    core.send("/record");
    sendVitals("/record", { sample: 0.5, data: { release: "1.2" }, respectGpc: true });
    // @ts-expect-error a URL is needed
    send();
    // @ts-expect-error not a milestone
    send("/record", { keys: ["domCompleted"] });
    // @ts-expect-error not a share
    send("/record", { sample: "half" });
    // @ts-expect-error the core has no options
    core.send("/record", { sample: 0.5 });
    // @ts-expect-error vitals are no milestones
    sendVitals("/record", { keys: ["domComplete"] });
  `;
  writeFileSync(
    join(site, "use.mts"),
    use((names, from) => `import ${names === "core" ? "* as core" : names} from "${from}";`),
  );
  writeFileSync(
    join(site, "use.cts"),
    use((names, from) => {
      const module = from.replace(/\W/g, "_");
      return `import ${module} = require("${from}"); const ${names} = ${module};`;
    }),
  );
  const require = createRequire(import.meta.url);
  const tsc = join(require.resolve("typescript/package.json"), "../bin/tsc");
  const options = ["--strict", "--noEmit", "--target", "es2020", "--types", ""];
  execFileSync(
    process.execPath,
    [tsc, ...options, "--module", "nodenext", "use.mts", "use.cts"],
    { cwd: site, stdio: "pipe", encoding: "utf8" },
  );
});
