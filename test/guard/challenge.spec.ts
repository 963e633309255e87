import { HttpException } from '@nestjs/common';

import { refusalFor, toHttpException } from '../../lib/guard/challenge.js';
import { InsecureRequest } from '../../lib/guard/request-transport.js';
import {
  AccessError,
  type AccessErrorCode,
  KeyError,
  type KeyErrorCode,
  SessionError,
  type SessionErrorCode,
  TokenError,
  type TokenErrorCode,
} from '../../lib/kernel/errors.js';
import { parseChallenge } from './challenge-grammar.js';

const TOKEN_CODES: readonly TokenErrorCode[] = [
  'ERR_TOKEN_FORMAT',
  'ERR_TOKEN_TOO_LARGE',
  'ERR_TOKEN_JSON',
  'ERR_TOKEN_HEADER',
  'ERR_TOKEN_ALGORITHM',
  'ERR_TOKEN_TYPE',
  'ERR_TOKEN_KID',
  'ERR_TOKEN_UNKNOWN_KEY',
  'ERR_TOKEN_SIGNATURE',
  'ERR_TOKEN_CLAIM_MISSING',
  'ERR_TOKEN_CLAIM_INVALID',
  'ERR_TOKEN_ISSUER',
  'ERR_TOKEN_AUDIENCE',
  'ERR_TOKEN_EXPIRED',
  'ERR_TOKEN_NOT_YET_VALID',
  'ERR_TOKEN_LIFETIME',
  'ERR_TOKEN_BINDING',
];

const KEY_CODES: readonly KeyErrorCode[] = [
  'ERR_KEY_INVALID',
  'ERR_KEY_WEAK',
  'ERR_KEY_STATIC',
  'ERR_KEY_RING_CORRUPT',
  'ERR_KEY_RING_CONFLICT',
  'ERR_KEY_RING_UNAVAILABLE',
];

const SESSION_CODES: ReadonlyArray<readonly [SessionErrorCode, number, string]> = [
  ['ERR_SESSION_MALFORMED', 401, 'invalid_token'],
  ['ERR_SESSION_UNKNOWN', 401, 'invalid_token'],
  ['ERR_SESSION_REUSED', 401, 'invalid_token'],
  ['ERR_SESSION_ENDED', 401, 'invalid_token'],
  ['ERR_SESSION_REVOKED', 401, 'invalid_token'],
  ['ERR_SESSION_SUBJECT', 401, 'invalid_token'],
  ['ERR_SESSION_SCOPE', 400, 'invalid_scope'],
];

describe('refusalFor (RFC 6750 §3, §3.1)', () => {
  it('is one and the same answer for every token that is refused (SEMANTICS 1: errors)', () => {
    const answers = TOKEN_CODES.map((code) => refusalFor(new TokenError(code, `why: ${code}`)));

    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toEqual({
      status: 401,
      error: 'invalid_token',
      headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    });
  });

  it('is one and the same 503 for whatever is wrong with the keys, and no challenge', () => {
    for (const code of KEY_CODES) {
      expect(refusalFor(new KeyError(code, 'why'))).toEqual({
        status: 503,
        error: 'temporarily_unavailable',
        headers: { 'Retry-After': expect.stringMatching(/^[1-9]\d*$/) as string },
      });
    }
  });

  const access: ReadonlyArray<readonly [AccessErrorCode, number, string, string | undefined]> = [
    ['ERR_ACCESS_NO_CREDENTIALS', 401, 'unauthorized', 'Bearer'],
    ['ERR_ACCESS_AMBIGUOUS_CREDENTIALS', 400, 'invalid_request', 'Bearer error="invalid_request"'],
    ['ERR_ACCESS_CSRF', 403, 'access_denied', 'Bearer'],
    ['ERR_ACCESS_INSECURE', 403, 'insecure_transport', 'Bearer'],
    ['ERR_ACCESS_DENIED', 403, 'insufficient_scope', 'Bearer error="insufficient_scope"'],
    ['ERR_ACCESS_POLICY_FAILED', 403, 'insufficient_scope', 'Bearer error="insufficient_scope"'],
    ['ERR_ACCESS_UNKNOWN_HANDLER', 401, 'invalid_token', 'Bearer error="invalid_token"'],
    ['ERR_ACCESS_UNSUPPORTED_CONTEXT', 401, 'invalid_token', 'Bearer error="invalid_token"'],
    ['ERR_ACCESS_UNAVAILABLE', 503, 'temporarily_unavailable', undefined],
  ];

  it.each(access)('answers %s with %d %s', (code, status, error, challenge) => {
    const refusal = refusalFor(new AccessError(code, 'why'));

    expect([refusal.status, refusal.error]).toEqual([status, error]);
    expect(refusal.headers['WWW-Authenticate']).toBe(challenge);
  });

  it('says nothing but the scheme to who brought no credentials (RFC 6750 §3.1)', () => {
    const { headers } = refusalFor(new AccessError('ERR_ACCESS_NO_CREDENTIALS', 'why'));

    expect(parseChallenge(headers['WWW-Authenticate'])).toEqual({
      scheme: 'Bearer',
      parameters: {},
    });
  });

  it('names the scope that would have been enough (RFC 6750 §3)', () => {
    const error = new AccessError('ERR_ACCESS_DENIED', 'why', { requiredScope: 'a:read b' });

    expect(parseChallenge(refusalFor(error).headers['WWW-Authenticate'])).toEqual({
      scheme: 'Bearer',
      parameters: { error: 'insufficient_scope', scope: 'a:read b' },
    });
  });

  it('shows what came over http the way to https, and tells no cache', () => {
    const location = 'https://a.example/x';

    expect(refusalFor(new InsecureRequest(location))).toEqual({
      status: 308,
      error: 'insecure_transport',
      headers: { Location: location, 'Cache-Control': 'no-store' },
    });
    expect(refusalFor(new InsecureRequest(undefined)).status).toBe(403);
  });

  it.each(SESSION_CODES)('answers %s with %d %s', (code, status, error) => {
    const refusal = refusalFor(new SessionError(code, 'why'));

    expect([refusal.status, refusal.error]).toEqual([status, error]);
  });

  it.each([
    ['an error nobody foresaw', new Error('planted')],
    ['a TypeError', new TypeError('planted')],
    ['text', 'planted'],
    ['nothing', undefined],
    ['null', null],
    ['an object that looks like ours', { code: 'ERR_ACCESS_NO_CREDENTIALS', detail: 'planted' }],
    ['an exception of the application that says 200', new HttpException('planted', 200)],
  ])('refuses on %s, and repeats nothing of it', (_, error) => {
    const refusal = refusalFor(error);

    expect(refusal.status).toBe(401);
    expect(JSON.stringify(refusal)).not.toContain('planted');
  });

  it('has a challenge that the grammar of RFC 9110 §11.6.1 reads, whatever was wrong', () => {
    const errors = [
      ...TOKEN_CODES.map((code) => new TokenError(code, 'why')),
      ...access.map(
        ([code]) => new AccessError(code, 'why', { requiredScope: "a:b !#$%&'()*+,-./" }),
      ),
    ];
    const challenges = errors.flatMap(
      (error) => refusalFor(error).headers['WWW-Authenticate'] ?? [],
    );

    expect(challenges).toHaveLength(errors.length - 1);
    for (const challenge of challenges) expect(parseChallenge(challenge).scheme).toBe('Bearer');
  });
});

describe('toHttpException', () => {
  it('has the error and nothing else in the body, and the cause for filters of the application', () => {
    const cause = new TokenError('ERR_TOKEN_SIGNATURE', 'why');
    const exception = toHttpException(refusalFor(cause), cause);

    expect(exception).toBeInstanceOf(HttpException);
    expect(exception.getStatus()).toBe(401);
    expect(exception.getResponse()).toEqual({ error: 'invalid_token' });
    expect(exception.cause).toBe(cause);
  });
});
