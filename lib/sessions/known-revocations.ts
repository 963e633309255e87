import { StoreError } from '../kernel/errors.js';
import type { RevocationService } from '../revocation/revocation.service.js';

/** What sessions ask of revocations before they go by them. */

/**
 * Resolves once this instance knows everything that was revoked before this call.
 * @throws StoreError `ERR_STORE_UNAVAILABLE`
 */
export async function learnRevocations(
  revocations: Pick<RevocationService, 'catchUp'>,
): Promise<void> {
  try {
    await revocations.catchUp();
  } catch (cause) {
    const message = 'The revocation log could not be read.';
    throw new StoreError('ERR_STORE_UNAVAILABLE', message, { cause });
  }
}

/** Whether this instance knows that this very session was revoked. */
export function isSessionRevoked(
  revocations: Pick<RevocationService, 'status'>,
  issuer: string,
  sessionId: string,
): boolean {
  const unnamed = { subject: '', tokenId: '', kid: '', issuedAt: 0, era: 0 };
  const status = revocations.status({ issuer, sessionId, ...unnamed });
  return status.revoked && status.kind === 'session';
}
