import { hash } from 'node:crypto';

/** Tags of what is served to be cached (RFC 9110 §8.8.3): strong, the same bytes have the same one. */
export function entityTag(body: string): string {
  return `"${hash('sha256', body, 'base64url')}"`;
}

/** Whether who asks has it already: weak comparison, as RFC 9110 §13.1.2 says. */
export function matchesEntityTag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
