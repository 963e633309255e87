import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { newPrivateJwk } from '../support/token-mother.js';
import type { LedgerOptions } from './running-ledger.js';

/** An application whose revocation log takes one entry and no more; everything else has room. */
export async function withFullLog(): Promise<LedgerOptions> {
  const { revocationLog } = memoryStorage({ maxEntries: 1 });
  const env = { JWT_SIGNING_JWK: JSON.stringify(await newPrivateJwk()) };
  return { env, storage: { ...memoryStorage(), revocationLog } };
}
