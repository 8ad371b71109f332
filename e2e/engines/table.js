// SPDX-License-Identifier: MPL-2.0

/** Prints scenarios × engines, with a note for each thing that an engine lacks. */
export function print(results, scenarios) {
  const notes = [];
  const cell = (result) => {
    if (result === undefined) return "not run";
    if (result === "ok" || result === "FAILED") return result;
    if (!notes.includes(result)) notes.push(result);
    return `- (${notes.indexOf(result) + 1})`;
  };
  const rows = scenarios.map((name) => [
    name,
    ...[...results.values()].map((engine) => cell(engine[name])),
  ]);
  const lines = [["", ...results.keys()], ...rows].map(([name, ...cells]) =>
    [name.padEnd(24), ...cells.map((text) => text.padEnd(12))].join("").trimEnd(),
  );
  const below = notes.map((note, i) => `(${i + 1}) ${note}`);
  console.log(["", ...lines, "", ...below, ""].join("\n"));
}
