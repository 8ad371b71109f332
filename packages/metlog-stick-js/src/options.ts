// SPDX-License-Identifier: MPL-2.0

export interface Options {
  /** The share of pages to report, from 0 to 1. Default: 1, all of them. */
  sample?: number;
  /** Form fields of your own to send along. */
  data?: Record<string, string | number | boolean>;
  /** Report nothing for visitors who ask for Global Privacy Control. Default: false. */
  respectGpc?: boolean;
}
