import { ClaimError } from '../../lib/kernel/errors.js';
import type { JsonObject } from '../../lib/kernel/strict-json.js';
import { RESERVED_CLAIMS, type TokenClaims, type VerifiedClaims } from '../../lib/tokens/claims.js';
import { composeClaims, type ComposeRules } from '../../lib/tokens/compose-claims.js';

const ISSUED = {
  iss: 'https://issuer.example',
  aud: 'https://api.example',
  iat: 1_000,
  nbf: 1_000,
  exp: 1_900,
  jti: 'id-1',
};

const RULES: ComposeRules = { clientId: null, requiredClaims: [], allowClaims: new Set() };

function compose(input: object, rules: Partial<ComposeRules> = {}): VerifiedClaims {
  return composeClaims(input as TokenClaims, { ...RULES, ...rules }, ISSUED);
}

function refusalOf(input: object, rules: Partial<ComposeRules> = {}): ClaimError {
  try {
    compose(input, rules);
  } catch (error) {
    if (error instanceof ClaimError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** The claims as JSON, or the code of the refusal. */
function outcomeOf(input: object): string {
  try {
    return JSON.stringify(compose(input));
  } catch (error) {
    if (error instanceof ClaimError) return error.code;
    throw error;
  }
}

/** A list within a list, so many levels deep. */
function nested(levels: number): unknown {
  let value: unknown = 'x';
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

describe('what a token says', () => {
  it('joins the claims of the caller with those of the service', () => {
    expect(compose({ sub: 'user-1', tenant: 't1' })).toEqual({
      ...ISSUED,
      sub: 'user-1',
      tenant: 't1',
    });
  });

  it('writes a list of scopes as RFC 6749 §3.3 text', () => {
    expect(compose({ sub: 'u', scope: ['a', 'b:c'] }).scope).toBe('a b:c');
    expect(compose({ sub: 'u', scope: 'a b:c' }).scope).toBe('a b:c');
  });

  it('leaves out what is undefined', () => {
    expect(Object.keys(compose({ sub: 'u', sid: undefined, tenant: undefined }))).toEqual([
      'sub',
      ...Object.keys(ISSUED),
    ]);
  });

  it('names the configured client unless the caller names one (RFC 9068 §2.2)', () => {
    expect(compose({ sub: 'u' }, { clientId: 'web' }).client_id).toBe('web');
    expect(compose({ sub: 'u', client_id: 'cli' }, { clientId: 'web' }).client_id).toBe('cli');
    expect('client_id' in compose({ sub: 'u' })).toBe(false);
  });

  it('is frozen to the last level', () => {
    const claims = compose({ sub: 'u', roles: ['a'], tenant: { id: 't', groups: [{ id: 'g' }] } });
    const tenant = claims['tenant'] as JsonObject;
    const groups = tenant['groups'] as JsonObject[];

    for (const part of [claims, claims.roles, tenant, groups, groups[0]]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it('neither freezes nor changes the object of the caller', () => {
    const input = { sub: 'u', roles: ['a'], scope: ['s'], tenant: { groups: [{ id: 'g' }] } };
    const before = structuredClone(input);
    compose(input, { clientId: 'web' });

    expect(input).toEqual(before);
    for (const part of [input, input.roles, input.scope, input.tenant, input.tenant.groups]) {
      expect(Object.isFrozen(part)).toBe(false);
    }
  });

  it('is not changed by what the caller does to the object afterwards', () => {
    const input = { sub: 'u', roles: ['user'], tenant: { id: 't1' } };
    const claims = compose(input);
    input.roles.push('admin');
    input.tenant.id = 't2';

    expect(claims.roles).toEqual(['user']);
    expect(claims['tenant']).toEqual({ id: 't1' });
  });

  it('takes frozen claims, and claims without a prototype', () => {
    const bare = Object.assign(Object.create(null) as object, { sub: 'u', tenant: 't' });

    expect(compose(Object.freeze({ sub: 'u' })).sub).toBe('u');
    expect(compose(bare)['tenant']).toBe('t');
  });

  it('puts the claims of the service over everything, whatever order they come in', () => {
    const claims = compose({ exp: undefined, sub: 'u', iss: undefined, jti: undefined });

    expect(claims).toMatchObject(ISSUED);
  });

  it('says exactly what its JSON says', () => {
    const claims = compose({
      sub: 'u',
      list: [1, 'a', null, true, { b: [] }],
      zero: 0,
      text: '\u2028 "quoted" \\ ünï 😀',
    });

    expect(JSON.parse(JSON.stringify(claims))).toEqual(claims);
  });
});

describe('reserved claims (SEMANTICS 1: custom claims can never override them)', () => {
  it.each([...RESERVED_CLAIMS])('refuses %s, whatever its value', (name) => {
    for (const value of ['x', '', 0, 9e9, null, false, [], {}, { jkt: 'x' }]) {
      const { code, message } = refusalOf({ sub: 'u', [name]: value });
      expect([code, message]).toEqual([
        'ERR_CLAIM_RESERVED',
        `The claim ${name} is set by the service alone.`,
      ]);
    }
  });

  it.each([...RESERVED_CLAIMS])('refuses an inherited %s', (name) => {
    const input = Object.assign(Object.create({ [name]: 'x' }) as object, { sub: 'u' });

    expect(refusalOf(input).code).toBe('ERR_CLAIM_RESERVED');
  });

  it.each([...RESERVED_CLAIMS])('does not let a getter slip %s in at the second look', (name) => {
    let looks = 0;
    const input = {
      sub: 'u',
      get [name]() {
        return looks++ === 0 ? undefined : 'slipped';
      },
    };

    expect(outcomeOf(input)).not.toContain('slipped');
  });

  it('is not fooled by allowClaims', () => {
    const allowClaims = new Set<string>(RESERVED_CLAIMS);

    expect(refusalOf({ sub: 'u', exp: 9e9 }, { allowClaims }).code).toBe('ERR_CLAIM_RESERVED');
  });
});

describe('registered claims', () => {
  const malformed: Record<string, readonly unknown[]> = {
    sub: [undefined, null, '', 1, true, [], ['u'], {}, 'x'.repeat(256), 'a\u0000', '\ud800'],
    sid: [null, '', 1, [], {}, 'x'.repeat(256), 'a\nb'],
    client_id: [null, '', 1, ['web'], 'x'.repeat(256)],
    acr: [null, '', 1, ['urn:mfa'], {}],
    amr: ['pwd', null, [1], [''], [['pwd']], {}, [undefined]],
    roles: ['admin', null, [1], [''], [null], [['admin']], { 0: 'admin' }, new Set(['admin'])],
    permissions: ['a', null, [1], [undefined], [{}], new Set(['a'])],
    auth_time: [1_002, '1000', null, -1, Number.NaN, Infinity, new Date(), [], true],
    scope: [
      null,
      1,
      {},
      ' a',
      'a ',
      'a  b',
      'a"b',
      'a\tb',
      'a\\b',
      'ä',
      ['a', ''],
      ['a"b'],
      [null],
    ],
  };
  const table = Object.entries(malformed).flatMap(([name, values]) =>
    values.map((value) => [name, value] as const),
  );

  it.each(table)('refuses %s: %j', (name, value) => {
    expect(refusalOf({ sub: 'u', [name]: value }).code).toBe('ERR_CLAIM_INVALID');
  });

  it.each([
    ['a scope token with a space, which would be two scopes', ['accounts:read admin']],
    ['an empty one between two others', ['a', '', 'b']],
    ['a tab', ['a\tb']],
    ['a list in the list', [['a', 'b']]],
    ['a number', [1]],
    ['an object with toString', [{ toString: () => 'admin' }]],
  ])('refuses a list of scopes with %s: nothing in it is split or converted', (_, scope) => {
    expect(refusalOf({ sub: 'u', scope }).code).toBe('ERR_CLAIM_INVALID');
  });

  it.each(['roles', 'permissions', 'amr', 'scope'])(
    'refuses a hole in %s, which JSON would fill with null',
    (name) => {
      const holed = ['a'];
      holed[2] = 'c';

      expect(refusalOf({ sub: 'u', [name]: holed }).code).toBe('ERR_CLAIM_INVALID');
    },
  );

  it.each([
    ['sub', 'x'.repeat(255)],
    ['sid', 'session-1'],
    ['auth_time', 0],
    ['auth_time', 1_000.5],
    ['acr', 'urn:mfa'],
    ['amr', ['pwd', 'otp']],
    ['roles', []],
    ['permissions', ['keys.rotate']],
    ['scope', ''],
    ['scope', []],
  ])('takes %s: %j', (name, value) => {
    expect(() => compose({ sub: 'u', [name]: value })).not.toThrow();
  });

  it('demands what tokens.requiredClaims names, or the token would not be accepted', () => {
    const rules = { requiredClaims: ['client_id', 'tenant'] };

    expect(refusalOf({ sub: 'u', client_id: 'web' }, rules)).toMatchObject({
      code: 'ERR_CLAIM_INVALID',
      message: 'The claim tenant is required by tokens.requiredClaims.',
    });
    expect(() => compose({ sub: 'u', client_id: 'web', tenant: 't' }, rules)).not.toThrow();
    expect(() => compose({ sub: 'u', tenant: 't' }, { ...rules, clientId: 'web' })).not.toThrow();
  });
});

class Money {
  readonly amount = 1;
}

class Serialisable {
  toJSON(): string {
    return 'something else';
  }
}

class Names extends Array<string> {}

describe('custom claims that JSON would drop or change', () => {
  const notJson: ReadonlyArray<readonly [string, unknown]> = [
    ['NaN', Number.NaN],
    ['Infinity', Infinity],
    ['-Infinity', -Infinity],
    ['a bigint', 1n],
    ['a symbol', Symbol('x')],
    ['a function', () => 'x'],
    ['a class', Money],
    ['a Date', new Date(0)],
    ['a RegExp', /x/],
    ['a Map', new Map([['a', 1]])],
    ['a Set', new Set([1])],
    ['a WeakMap', new WeakMap()],
    ['a Promise', Promise.resolve(1)],
    ['an Error', new Error('x')],
    ['a Buffer', Buffer.from('x')],
    ['a typed array', new Uint8Array(2)],
    ['an ArrayBuffer', new ArrayBuffer(2)],
    ['a URL', new URL('https://example.org')],
    ['a String object', Object('x')],
    ['a Number object', Object(1)],
    ['a Boolean object', Object(true)],
    ['an instance of a class', new Money()],
    ['an instance with toJSON', new Serialisable()],
    ['an object with toJSON', { toJSON: () => 'something else' }],
    ['a generator', (function* () {})()],
    ['a lone high surrogate', '\ud800'],
    ['a lone low surrogate', 'x\udfff'],
  ];

  it.each(notJson)('refuses %s', (_, value) => {
    expect(refusalOf({ sub: 'u', note: value }).code).toBe('ERR_CLAIM_INVALID');
  });

  it.each(notJson)('refuses %s at depth', (_, value) => {
    for (const claims of [{ note: [value] }, { note: { a: value } }, { note: [{ a: [value] }] }]) {
      expect(refusalOf({ sub: 'u', ...claims }).code).toBe('ERR_CLAIM_INVALID');
    }
  });

  it('refuses undefined in a list, which JSON would turn into null', () => {
    expect(refusalOf({ sub: 'u', note: ['a', undefined] }).code).toBe('ERR_CLAIM_INVALID');
  });

  it('refuses a hole in a list, which JSON would fill with null', () => {
    const holed = ['a'];
    holed[2] = 'c';

    expect(refusalOf({ sub: 'u', note: holed }).code).toBe('ERR_CLAIM_INVALID');
  });

  it('refuses a list with a toJSON of its own, by a coded error', () => {
    const list = Object.assign(['user'], { toJSON: () => ['admin'] });

    expect(refusalOf({ sub: 'u', note: list }).code).toBe('ERR_CLAIM_INVALID');
    expect(refusalOf({ sub: 'u', roles: list }).code).toBe('ERR_CLAIM_INVALID');
  });

  it('takes a list of a subclass for what it lists, or not at all', () => {
    expect(outcomeOf({ sub: 'u', note: Names.from(['a']) })).toMatch(
      /"note":\["a"\]|^ERR_CLAIM_INVALID$/,
    );
  });

  it('refuses a name with a lone surrogate, which the strict reader would refuse', () => {
    expect(refusalOf({ sub: 'u', '\ud800': 1 }).code).toBe('ERR_CLAIM_INVALID');
    expect(refusalOf({ sub: 'u', note: { '\udfff': 1 } }).code).toBe('ERR_CLAIM_INVALID');
  });

  it('never lets a symbol key reach the claims', () => {
    const claims = compose({ sub: 'u', [Symbol('x')]: 1, note: { [Symbol('y')]: 1, a: 1 } });

    expect(Object.getOwnPropertySymbols(claims)).toEqual([]);
    expect(Object.getOwnPropertySymbols(claims['note'])).toEqual([]);
  });

  it('never lets what is not enumerable reach the claims', () => {
    const input = Object.defineProperty({ sub: 'u' }, 'admin', { value: true });

    expect(compose(input)).not.toHaveProperty('admin');
  });

  it.each([
    ['at the top', JSON.parse('{"sub":"u","__proto__":{"admin":true}}') as object],
    ['in an object', { sub: 'u', note: JSON.parse('{"__proto__":{"admin":true}}') as object }],
    ['in a list', { sub: 'u', note: [JSON.parse('{"__proto__":1}') as object] }],
  ])('refuses __proto__ %s', (_, input) => {
    expect(refusalOf(input).code).toBe('ERR_CLAIM_INVALID');
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('takes the names constructor and prototype for what they are here: names', () => {
    const claims = compose({ sub: 'u', note: { constructor: 'x', prototype: 'y' } });

    expect(claims['note']).toEqual({ constructor: 'x', prototype: 'y' });
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });
});

describe('getters: what was looked at is what is said', () => {
  function changing(values: readonly unknown[]): object {
    let looks = 0;
    return {
      get value() {
        return values[Math.min(looks++, values.length - 1)];
      },
    };
  }

  it.each([1, 2, 3, 4])('a value that turns personal at look %d gets in nowhere', (look) => {
    const values = [...Array<string>(look).fill('harmless'), 'alice@example.org'];

    expect(outcomeOf({ sub: 'u', note: changing(values) })).toMatch(
      /"value":"harmless"|^ERR_CLAIM_SENSITIVE$/,
    );
  });

  it.each([1, 2, 3, 4])('a value that stops being JSON at look %d gets in nowhere', (look) => {
    const values = [...Array<string>(look).fill('harmless'), Number.NaN];

    expect(outcomeOf({ sub: 'u', note: changing(values) })).toMatch(
      /"value":"harmless"|^ERR_CLAIM_INVALID$/,
    );
  });
});

describe('depth and cycles', () => {
  it('takes twelve levels and refuses the thirteenth', () => {
    expect(() => compose({ sub: 'u', note: nested(12) })).not.toThrow();
    expect(refusalOf({ sub: 'u', note: nested(13) })).toMatchObject({ code: 'ERR_CLAIM_INVALID' });
  });

  it('refuses 100 000 levels without exhausting the stack', () => {
    expect(refusalOf({ sub: 'u', note: nested(100_000) }).code).toBe('ERR_CLAIM_INVALID');
  });

  it('refuses a cycle through an object, a list and itself', () => {
    const object: Record<string, unknown> = {};
    object['list'] = [{ back: object }];
    const list: unknown[] = [];
    list.push(list);

    expect(refusalOf({ sub: 'u', note: object }).code).toBe('ERR_CLAIM_INVALID');
    expect(refusalOf({ sub: 'u', note: list }).code).toBe('ERR_CLAIM_INVALID');
  });

  it('takes one object in two places', () => {
    const shared = { id: 1 };

    expect(compose({ sub: 'u', a: shared, b: [shared] })).toMatchObject({ a: { id: 1 } });
  });
});

describe('secret and personal claims', () => {
  it('refuses them with the path and never the value', () => {
    const { code, message } = refusalOf({ sub: 'u', profile: { email: 'alice@example.org' } });

    expect(code).toBe('ERR_CLAIM_SENSITIVE');
    expect(message).toContain('profile.email');
    expect(message).toContain('tokens.allowClaims');
    expect(message).not.toContain('alice');
  });

  it('issues what tokens.allowClaims names, by name or by path', () => {
    const input = { sub: 'u', email: 'a@example.org', profile: { phone: '1' } };

    expect(refusalOf(input, { allowClaims: new Set(['email']) }).message).toContain(
      'profile.phone',
    );
    expect(compose(input, { allowClaims: new Set(['email', 'profile.phone']) })['profile']).toEqual(
      { phone: '1' },
    );
  });

  it('holds allowed claims to JSON all the same', () => {
    const allowClaims = new Set(['email']);

    expect(refusalOf({ sub: 'u', email: new Date() }, { allowClaims }).code).toBe(
      'ERR_CLAIM_INVALID',
    );
  });

  it.each(['sub', 'sid', 'client_id'])(
    'looks at the value of %s too, which can be an e-mail address all the same',
    (name) => {
      const input = { sub: 'u', [name]: 'alice@example.org' };

      expect(refusalOf(input)).toMatchObject({ code: 'ERR_CLAIM_SENSITIVE' });
      expect(refusalOf(input).message).not.toContain('alice');
      expect(compose(input, { allowClaims: new Set([name]) })[name]).toBe('alice@example.org');
    },
  );

  it('does not look for words in registered claims: a role may be called anything', () => {
    const input = { sub: 'u', roles: ['card'], permissions: ['password.reset'], scope: 'email' };

    expect(compose({ ...input, amr: ['pin'], sid: 'pin' })).toMatchObject(input);
  });
});

describe('what is not an object of claims at all', () => {
  it.each([
    ['null', null],
    ['undefined', undefined],
    ['text', 'user-1'],
    ['a number', 1],
    ['a list', ['user-1']],
    ['a function', () => ({ sub: 'u' })],
  ])('refuses %s and composes nothing', (_, input) => {
    expect(() => compose(input as object)).toThrow(Error);
  });
});
