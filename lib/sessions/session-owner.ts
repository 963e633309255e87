import { hash } from 'node:crypto';

/** Bytes: as many as nobody can find a second subject for. */
const LENGTH = 16;

/**
 * The `owner` under which a subject's sessions are stored: a digest, so that no store learns who uses
 * the service. An issuer holds no NUL, so no two pairs read the same.
 */
export function sessionOwner({
  issuer,
  subject,
}: {
  readonly issuer: string;
  readonly subject: string;
}): string {
  return hash('sha256', `${issuer}\0${subject}`, 'buffer')
    .subarray(0, LENGTH)
    .toString('base64url');
}
