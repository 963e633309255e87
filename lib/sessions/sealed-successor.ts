import { StoreError } from '../kernel/errors.js';
import { type RefreshToken, successorOf } from './refresh-token.js';
import { seal, type Sealing, unseal } from './sealed-text.js';

/**
 * The token that follows one, kept in the store so that a client whose answer got lost can have it
 * again: sealed under the token it followed, which only the client has.
 */
export function sealSuccessor(token: RefreshToken, successor: RefreshToken): string {
  return seal(successor.secret, sealingOf(token));
}

/** @throws StoreError `ERR_STORE_CORRUPT` */
export function openSuccessor(token: RefreshToken, sealed: string): RefreshToken {
  const secret = unseal(sealed, sealingOf(token));
  if (secret !== undefined) return successorOf(token, secret);
  throw new StoreError('ERR_STORE_CORRUPT', 'The stored successor is none of this session.');
}

function sealingOf({ key, secret }: RefreshToken): Sealing {
  return { secret, purpose: 'successor', context: key.id };
}
