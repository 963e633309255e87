import type { VerifiedClaims } from '../../lib/tokens/claims.js';
import { deepFreeze, VerifiedToken } from '../../lib/tokens/verified-token.js';

const KEY = { kid: 'k1', algorithm: 'ES256', era: 7 } as const;

function claims(more: Record<string, unknown> = {}): VerifiedClaims {
  return {
    iss: 'https://issuer.example',
    aud: ['https://api.example', 'https://other.example'],
    sub: 'user-1',
    iat: 1_000,
    exp: 1_300,
    jti: 'id-1',
    ...more,
  };
}

describe('VerifiedToken.seal', () => {
  it('states the claims as facts', () => {
    const said = claims({
      sid: 'session-1',
      client_id: 'web',
      scope: 'accounts:read accounts:write',
      roles: ['admin'],
      permissions: ['keys.rotate'],
    });

    expect(VerifiedToken.seal('access', KEY, said)).toEqual({
      kind: 'access',
      kid: 'k1',
      algorithm: 'ES256',
      issuer: 'https://issuer.example',
      subject: 'user-1',
      tokenId: 'id-1',
      sessionId: 'session-1',
      clientId: 'web',
      issuedAt: 1_000,
      expiresAt: 1_300,
      scopes: ['accounts:read', 'accounts:write'],
      roles: ['admin'],
      permissions: ['keys.rotate'],
      era: 7,
      claims: said,
    });
  });

  it('has empty lists, and no session or client, where the token says nothing', () => {
    const { scopes, roles, permissions, sessionId, clientId } = VerifiedToken.seal(
      'access',
      KEY,
      claims(),
    );

    expect([scopes, roles, permissions]).toEqual([[], [], []]);
    expect([sessionId, clientId]).toEqual([undefined, undefined]);
  });

  it('reads an empty scope as no scope', () => {
    expect(VerifiedToken.seal('access', KEY, claims({ scope: '' })).scopes).toEqual([]);
  });

  const mutations: ReadonlyArray<readonly [string, (token: VerifiedToken) => unknown]> = [
    ['the subject', (token) => Reflect.set(token, 'subject', 'admin')],
    ['the expiry', (token) => Reflect.set(token, 'expiresAt', Number.MAX_SAFE_INTEGER)],
    ['the claims', (token) => Reflect.set(token, 'claims', {})],
    ['one claim', (token) => Reflect.set(token.claims, 'sub', 'admin')],
    ['a new claim', (token) => Reflect.set(token.claims, 'admin', true)],
    ['a claim away', (token) => Reflect.deleteProperty(token.claims, 'exp')],
    ['a scope', (token) => Reflect.set(token.scopes, 0, 'admin')],
    ['one more scope', (token) => Reflect.set(token.scopes, 1, 'admin')],
    ['one more role', (token) => Reflect.set(token.roles, 1, 'admin')],
    ['one more permission', (token) => Reflect.set(token.permissions, 0, 'admin')],
    ['an audience', (token) => Reflect.set(token.claims.aud as object, 0, 'x')],
    ['a nested claim', (token) => Reflect.set(token.claims['tenant'] as object, 'id', 'x')],
    ['a list in a nested claim', (token) => Reflect.set(nestedList(token), 0, 'x')],
    ['its prototype', (token) => Reflect.setPrototypeOf(token.claims, { admin: true })],
  ];

  function sealed(): VerifiedToken {
    const said = claims({ scope: 'read', roles: ['user'], tenant: { id: 't1', groups: ['g1'] } });
    return VerifiedToken.seal('access', KEY, said);
  }

  function nestedList({ claims: said }: VerifiedToken): object {
    return (said['tenant'] as { readonly groups: object }).groups;
  }

  it.each(mutations)(
    'keeps a handler from changing %s for the next request (the facts are cached)',
    (_, mutate) => {
      const token = sealed();
      const before = structuredClone(token);

      expect(mutate(token)).toBe(false);
      expect(token).toEqual(before);
    },
  );

  it('shares no empty list that could be filled', () => {
    const { scopes, roles, permissions } = VerifiedToken.seal('access', KEY, claims());

    for (const list of [scopes, roles, permissions]) expect(Object.isFrozen(list)).toBe(true);
    expect(() => (scopes as string[]).push('admin')).toThrow(TypeError);
  });
});

describe('VerifiedToken.isSealed (STYLE: a type that only its module can construct)', () => {
  const token = VerifiedToken.seal('access', KEY, claims());

  it('knows what the verifier answered', () => {
    expect(VerifiedToken.isSealed(token)).toBe(true);
  });

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['text', 'token'],
    ['an empty object', {}],
    ['a copy of its facts', Object.assign({}, token)],
    ['its JSON', JSON.parse(JSON.stringify(token)) as unknown],
    ['a structured clone', structuredClone(token)],
    ['an object with its prototype', Object.create(VerifiedToken.prototype) as unknown],
    ['its own prototype', VerifiedToken.prototype],
    ['an object that inherits from it', Object.create(token) as unknown],
    ['a proxy of it, which could answer anything', new Proxy(token, {})],
    ['a promise of it', Promise.resolve(token)],
    ['a list of it', [token]],
  ])('does not take %s for one', (_, value) => {
    expect(VerifiedToken.isSealed(value)).toBe(false);
  });
});

describe('deepFreeze', () => {
  it('freezes to the last level and answers the same object', () => {
    const value = { a: [{ b: { c: [1] } }], d: null, e: 'x' };

    expect(deepFreeze(value)).toBe(value);
    for (const part of [value, value.a, value.a[0], value.a[0]?.b, value.a[0]?.b.c]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it.each([1, 'x', null, undefined, true])('leaves %j as it is', (value) => {
    expect(deepFreeze(value)).toBe(value);
  });
});
