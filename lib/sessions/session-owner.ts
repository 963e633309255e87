import { hash } from 'node:crypto';

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
  return hash('sha256', `${issuer}\0${subject}`, 'base64url');
}
