// SPDX-License-Identifier: MPL-2.0
// How the site's search ranks: pages about the project itself have every word there is,
// and come after those that say how to do something; among equals an answer comes first.
var Scorer = {
  score: ([page, , , , score]) => {
    if (/^(architecture|changelogs|contract|counted|decisions\/)/.test(page)) return score / 10;
    return page === "questions" ? score + 1 : score;
  },
  // Sphinx' own numbers:
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
