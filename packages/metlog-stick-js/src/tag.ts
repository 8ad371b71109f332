// SPDX-License-Identifier: MPL-2.0

/**
 * The script's own tag, if it says where to report.
 *
 * Loaders that run the text themselves, such as Cloudflare's Rocket Loader and jQuery,
 * leave the tag in the page, but it is not currentScript. That is also null in a module,
 * and the tag of a bundle has no data-url.
 */
export const tag: any = document.currentScript?.dataset.url
  ? document.currentScript
  : document.querySelector("script[src*=stick][data-url]");
