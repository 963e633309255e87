import type { TokenRow } from '../vectors/arena.js';
import { ALGORITHM_ROWS } from './rows/algorithm-rows.js';
import { CLAIM_ROWS } from './rows/claim-rows.js';
import { HEADER_ROWS } from './rows/header-rows.js';
import { TEXT_ROWS } from './rows/text-rows.js';

/** More rows of the classes of the malicious sample, and more controls. */
export const INVENTED_ROWS: readonly TokenRow[] = [
  ...CLAIM_ROWS,
  ...ALGORITHM_ROWS,
  ...HEADER_ROWS,
  ...TEXT_ROWS,
];
