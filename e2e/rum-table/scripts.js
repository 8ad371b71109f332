// SPDX-License-Identifier: MPL-2.0

// The scripts to compare, each set up as its own documentation says, to report to "record"
// beside the page; and how to recognise a report of a page load among what they send.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const root = createRequire(new URL("../../package.json", import.meta.url));
const at = (path) => new URL(`../../${path}`, import.meta.url);
const version = (path) => JSON.parse(readFileSync(at(`${path}/package.json`))).version;
const bundled = (contents) =>
  esbuild.buildSync({
    bundle: true,
    format: "iife",
    minify: true,
    stdin: { contents, resolveDir: fileURLToPath(new URL(".", import.meta.url)) },
    write: false,
  }).outputFiles[0].text;
const peer = (name) => `${name} ${version(`e2e/rum-table/node_modules/${name}`)}`;

const form = ({ body, query }) => new URLSearchParams(body || query);
const json = ({ body }) => {
  try {
    return JSON.parse(body);
  } catch {
    return {};
  }
};

/** What a script says of loads in one request: for each, whether it claims the load's end. */
export default [
  {
    title: "stick",
    version: `metlog-stick-js ${version("packages/metlog-stick-js")}`,
    tag: '<script src="rum.js" data-url="record" defer></script>',
    // The name of the file is how it finds its tag under a loader.
    loaded: '<script src="stick.js" data-url="record" type="text/later"></script>',
    text: () =>
      readFileSync(at("packages/django-metlog/src/django_metlog/static/stick.js"), "utf8"),
    loads: (request) => {
      const fields = form(request);
      if (!fields.has("window.performance.timing.navigationStart")) return [];
      return [fields.has("window.performance.timing.domComplete")];
    },
  },
  {
    title: "boomerang",
    version: `boomerangjs ${version("node_modules/boomerangjs")}, rt and navtiming`,
    tag: '<script src="rum.js"></script>',
    text: () =>
      ["boomerang", "plugins/rt", "plugins/navtiming", "plugins/zzz-last-plugin"]
        .map((name) => readFileSync(at(`node_modules/boomerangjs/${name}.js`), "utf8"))
        .join("\n;")
        // Its own build strips what talks to the console.
        .concat('\n;BOOMR.init({ beacon_url: "record", log: null });'),
    loads: (request) => {
      const fields = form(request);
      const left = fields.has("rt.quit") && !fields.has("rt.abld");
      if (!fields.get("nt_nav_st") || left) return [];
      return [fields.has("nt_domcomp")];
    },
  },
  {
    title: "web-vitals",
    version: `web-vitals ${version("node_modules/web-vitals")}, its README's batch of reports`,
    tag: '<script src="rum.js" defer></script>',
    text: () =>
      bundled(`
        import { onCLS, onFCP, onINP, onLCP, onTTFB } from ${JSON.stringify(root.resolve("web-vitals"))};
        const queue = new Set();
        const add = (metric) => queue.add(metric);
        const flush = () => {
          if (queue.size > 0) {
            navigator.sendBeacon("record", JSON.stringify([...queue]));
            queue.clear();
          }
        };
        for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB]) on(add);
        addEventListener("visibilitychange", () => {
          if (document.visibilityState === "hidden") flush();
        });
      `),
    loads: (request) => {
      const metrics = json(request);
      return (Array.isArray(metrics) ? metrics : [])
        .filter(({ name }) => name === "TTFB")
        .filter(({ navigationType }) => navigationType !== "back-forward-cache")
        .map(() => false);
    },
  },
  {
    title: "Faro",
    version: peer("@grafana/faro-web-sdk"),
    tag: '<script src="rum.js"></script>',
    text: () =>
      bundled(`
        import { initializeFaro, getWebInstrumentations } from "@grafana/faro-web-sdk";
        initializeFaro({
          url: new URL("record", location.href).href,
          app: { name: "page" },
          instrumentations: getWebInstrumentations({ captureConsole: false }),
        });
      `),
    loads: (request) =>
      (json(request).events ?? [])
        .filter(({ name }) => name === "faro.performance.navigation")
        .map(({ attributes }) => Number(attributes?.pageLoadTime) > 0),
  },
  {
    title: "OpenTelemetry",
    version: peer("@opentelemetry/instrumentation-document-load"),
    tag: '<script src="rum.js"></script>',
    text: () =>
      bundled(`
        import { WebTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-web";
        import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
        import { registerInstrumentations } from "@opentelemetry/instrumentation";
        import { DocumentLoadInstrumentation } from "@opentelemetry/instrumentation-document-load";
        const exporter = new OTLPTraceExporter({ url: new URL("record", location.href).href });
        const options = { scheduledDelayMillis: 500 };
        new WebTracerProvider({
          spanProcessors: [new BatchSpanProcessor(exporter, options)],
        }).register();
        registerInstrumentations({ instrumentations: [new DocumentLoadInstrumentation()] });
      `),
    loads: (request) =>
      (json(request).resourceSpans ?? [])
        .flatMap(({ scopeSpans }) => scopeSpans)
        .flatMap(({ spans }) => spans)
        .filter(({ name }) => name === "documentLoad")
        .map(({ events }) => events.some(({ name }) => name === "domComplete")),
  },
];
