import { createHash } from 'node:crypto';

import { sessionOwner } from '../../lib/sessions/session-owner.js';

const issuer = 'https://issuer.example';

describe('sessionOwner', () => {
  it('is half of the SHA-256 of issuer, NUL and subject, in base64url', () => {
    const digest = createHash('sha256')
      .update(`${issuer}\0user-1`)
      .digest()
      .subarray(0, 16)
      .toString('base64url');
    expect(sessionOwner({ issuer, subject: 'user-1' })).toBe(digest);
  });

  it.each(['', '\0', 'a\0b', '../..', '{}', 'ü'.repeat(255), '\ud800'])(
    'is a name that every store takes, for the subject %j',
    (subject) => {
      expect(sessionOwner({ issuer, subject })).toMatch(/^[A-Za-z0-9_-]{22}$/);
    },
  );

  it('tells apart what reads the same when put together', () => {
    const owners = [
      { issuer: 'https://a.example', subject: 'b' },
      { issuer: 'https://a.exampl', subject: 'eb' },
      { issuer: 'https://a.example', subject: '\0b' },
      { issuer: 'https://a.example', subject: 'B' },
    ].map(sessionOwner);
    expect(new Set(owners).size).toBe(owners.length);
  });
});
