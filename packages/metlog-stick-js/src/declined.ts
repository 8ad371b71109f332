// SPDX-License-Identifier: MPL-2.0

import type { Options } from "./options.js";

/** Is this page load not to be reported? To be asked once per page, for it throws dice. */
export const declined = ({ sample = 1, respectGpc }: Options): unknown =>
  Math.random() >= sample || (respectGpc && navigator.globalPrivacyControl);
