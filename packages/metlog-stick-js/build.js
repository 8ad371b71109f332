// SPDX-License-Identifier: MPL-2.0

// `npm run build` writes what the package ships into dist/, copies the files that
// django-metlog serves, and prints the sizes. `--no-copies` leaves django-metlog alone.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import * as esbuild from "esbuild";
import { minify } from "uglify-js";

const here = fileURLToPath(new URL(".", import.meta.url));
const require = createRequire(import.meta.url);

/** The folder in django-metlog for files that sites without a bundler serve. */
export const STATIC = join(here, "../django-metlog/src/django_metlog/static");

/** The files that are copied into STATIC, by their name in dist. */
export const COPIES = [
  "stick.js",
  "stick-all.js",
  "stick-vitals.js",
  "stick-vitals.LICENSE.txt",
];

/** The maximum size of each file, in bytes after brotli at its highest quality. */
const LIMITS = {
  "attribution.js beside web-vitals": 400,
  "core.js": 512,
  "errors.js": 400,
  "send.js": 896,
  "stick.js": 896,
  "visits.js": 900,
};

// Found this way because web-vitals does not export its package.json.
export const WEB_VITALS = join(require.resolve("web-vitals"), "../..");

const ATTRIBUTION = join(WEB_VITALS, "dist/web-vitals.attribution.js");

/** The modules that can be imported. */
const MODULES = Object.fromEntries(
  ["attribution", "core", "errors", "send", "visitor", "visits", "vitals"].map((name) => [
    name,
    `src/${name}.ts`,
  ]),
);

/** Other modules that their types depend on. */
const TYPES = ["milestones", "options"];

/** Return every script of the package: file name in dist → text. */
export async function scripts() {
  const vitals = JSON.parse(readFileSync(join(WEB_VITALS, "package.json")));
  const notice =
    `/*! Includes web-vitals ${vitals.version}, Copyright 2020 Google LLC, ` +
    `Apache License 2.0: see stick-vitals.LICENSE.txt */\n`;
  const builds = [
    { entryPoints: MODULES, format: "esm" },
    { entryPoints: MODULES, format: "cjs", outExtension: { ".js": ".cjs" } },
    { entryPoints: { stick: "src/script.ts" }, format: "iife" },
    {
      entryPoints: { "stick-vitals": "src/script-vitals.ts" },
      format: "iife",
      // "sideEffects": false holds for the modules, but not for the scripts.
      ignoreAnnotations: true,
    },
    {
      entryPoints: { "stick-all": "src/script-all.ts" },
      // One web-vitals for both: the one with attribution measures the same.
      alias: { "web-vitals": ATTRIBUTION, "web-vitals/attribution": ATTRIBUTION },
      format: "iife",
      ignoreAnnotations: true,
    },
  ];
  const files = {};
  for (const build of builds) {
    const script = build.format === "iife";
    const { outputFiles } = await esbuild.build({
      ...build,
      absWorkingDir: here,
      bundle: true,
      external: script ? [] : ["web-vitals", "web-vitals/attribution"],
      minify: true,
      outdir: "dist",
      // Scripts are copied, and Django's ManifestStaticFilesStorage refuses a file with a
      // source map that it cannot find.
      sourcemap: script ? false : "external",
      target: "es2020",
      tsconfigRaw: {}, // "strict" in tsconfig.json would add "use strict" to a script
      write: false,
    });
    const texts = Object.fromEntries(
      outputFiles.map(({ path, text }) => [path.slice(join(here, "dist/").length), text]),
    );
    for (const name of Object.keys(texts).filter((name) => !name.endsWith(".map")))
      Object.assign(files, smaller(name, texts[name], texts[`${name}.map`]));
  }
  for (const name of ["stick-all.js", "stick-vitals.js"]) files[name] = notice + files[name];
  files["stick-vitals.LICENSE.txt"] = readFileSync(
    join(WEB_VITALS, "LICENSE"),
    "utf8",
  );
  return files;
}

const SMALLER = {
  toplevel: true,
  // Otherwise a script gets shorter, but is larger after brotli.
  compress: { inline: 0, varify: false },
};

/**
 * Return a script, and its map if it has one, a few percent smaller than esbuild makes it:
 * uglify-js puts functions that are used once where they are used.
 */
function smaller(name, text, map) {
  const { code, map: composed, error } = minify(text, {
    ...SMALLER,
    module: Boolean(map),
    sourceMap: map && { content: map, filename: name, url: `${name}.map` },
  });
  if (error) throw error;
  return { [name]: `${code}\n`, ...(map && { [`${name}.map`]: composed }) };
}

/** Return the size of a script as it reaches the browser, in bytes. */
function weight(text) {
  const code = text.replace(/\n\/\/# sourceMappingURL=.*\n?/, "");
  return brotliCompressSync(code, {
    params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
  }).length;
}

/** Return what metlog-stick-js/attribution adds to web-vitals when both are bundled. */
async function attributionWeight() {
  const bundled = async (contents) => {
    const { outputFiles } = await esbuild.build({
      bundle: true,
      format: "esm",
      minify: true,
      stdin: { contents, resolveDir: here },
      target: "es2020",
      tsconfigRaw: {},
      write: false,
    });
    return weight(minify(outputFiles[0].text, { ...SMALLER, module: true }).code);
  };
  const functions = "{ onCLS, onFCP, onINP, onLCP, onTTFB }";
  const both = await bundled('export * from "./src/attribution.ts";');
  return both - (await bundled(`export ${functions} from "web-vitals/attribution";`));
}

/** Return the size of everything, in bytes: file name → number. */
export async function weights(files) {
  const names = Object.keys(files).filter((name) => /js$/.test(name)).sort();
  return {
    ...Object.fromEntries(names.map((name) => [name, weight(files[name])])),
    "attribution.js beside web-vitals": await attributionWeight(),
  };
}

/** Return a sentence for each file that is over its limit. */
export function overweight(weights) {
  return Object.entries(LIMITS)
    .filter(([name, limit]) => weights[name] > limit)
    .map(([name, limit]) => `${name} weighs ${weights[name]} bytes, at most ${limit} are allowed`);
}

function types() {
  const tsc = join(require.resolve("typescript/package.json"), "../bin/tsc");
  const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly"];
  execFileSync(process.execPath, [tsc, "-p", here, ...options, "--outDir", "build"], {
    cwd: here,
    stdio: "inherit",
  });
  for (const name of [...Object.keys(MODULES), ...TYPES]) {
    const text = readFileSync(join(here, `build/${name}.d.ts`), "utf8");
    writeFileSync(join(here, `dist/${name}.d.ts`), text);
    writeFileSync(join(here, `dist/${name}.d.cts`), text.replace(/\.js"/g, '.cjs"'));
  }
  rmSync(join(here, "build"), { recursive: true });
}

async function main() {
  const files = await scripts();
  rmSync(join(here, "dist"), { recursive: true, force: true });
  mkdirSync(join(here, "dist"));
  mkdirSync(STATIC, { recursive: true });
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(here, "dist", name), text);
  types();
  if (!process.argv.includes("--no-copies"))
    for (const name of COPIES) cpSync(join(here, "dist", name), join(STATIC, name));

  console.log("bytes  limit  after brotli");
  const bytes = await weights(files);
  for (const [name, weighs] of Object.entries(bytes))
    console.log(String(weighs).padStart(5), String(LIMITS[name] ?? "").padStart(6), ` ${name}`);
  for (const sentence of overweight(bytes)) {
    console.error(sentence);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
