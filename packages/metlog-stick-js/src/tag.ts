// SPDX-License-Identifier: MPL-2.0

/**
 * The script's own tag, if it says where to report.
 *
 * A loader that runs the text by itself, as Cloudflare's Rocket Loader and jQuery do,
 * leaves the tag in the page, but it is not the script that runs now. currentScript is null
 * in a module, too; a bundle's own tag has no data-url.
 */
export const tag: any = document.currentScript?.dataset.url
  ? document.currentScript
  : document.querySelector("script[src*=stick][data-url]");
