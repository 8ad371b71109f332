// SPDX-License-Identifier: MPL-2.0

// Swaps a part of the page, as htmx or Turbo would.
document.addEventListener("click", async ({ target }) => {
  const { top } = target.dataset;
  if (!top) return;
  const url = `?top=${top}`;
  const text = await (await fetch(url)).text();
  const page = new DOMParser().parseFromString(text, "text/html");
  history.pushState({}, "", url);
  document.querySelector(".ranking").replaceWith(page.querySelector(".ranking"));
});
