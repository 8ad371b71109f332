// SPDX-License-Identifier: MPL-2.0
// Runs pytest in a Python that is compiled to WebAssembly and need not be installed here.
// `lacking.py` lists what is missing there, and skips the tests that need it.
// `node tools/webassembly/run.js FOLDER RUNTIME [argument of pytest]…`: FOLDER holds what
// the tests import from PyPI; RUNTIME is one of the two in package.json.
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const [folder, runtime, ...options] = process.argv.slice(2);
const libraries = resolve(folder);

const PROGRAM = `
import sys

sys.path[:0] = ["packages/metlog-core/src", "tools/webassembly", libraries]
print("Python", sys.version)

import pytest

plugins = ["-p", "lacking", "-p", "metlog.pytest_plugin", "-p", "no:cacheprovider"]
int(pytest.main([*plugins, "--hypothesis-profile=webassembly", *options]))
`;

try {
  const { loadPyodide } = await import(runtime);
  const env = { HOME: "/home", PYTHONDONTWRITEBYTECODE: "1" };
  const python = await loadPyodide({ env });
  // At their own addresses, so that paths mean the same there as here.
  for (const one of [ROOT, libraries]) {
    python.FS.mkdirTree(one);
    python.mountNodeFS(one, one);
  }
  python.FS.chdir(ROOT);
  python.globals.set("libraries", libraries);
  python.globals.set("options", python.toPy(options));
  process.exitCode = python.runPython(PROGRAM);
} catch (error) {
  console.error(error.message); // node would print the source of the whole runtime
  process.exitCode = 1;
}
