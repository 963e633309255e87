import type { JsonWebKey } from 'node:crypto';

import { calculateJwkThumbprint } from 'jose';

import {
  asFastify,
  digestOf,
  openService,
  requestWith,
  verdictOf,
} from '../binding/dpop/proof-mother.js';
import { TestClock } from '../support/test-clock.js';
import { materializeAll, newProofHolder, ROWS } from './dpop-rows.js';
import { readVectors } from './vector-files.js';

/** The examples of RFC 9449 itself, and every row of the malicious sample in the place of a proof. */

interface Example {
  readonly id: string;
  readonly proof: string;
  readonly header: { readonly jwk: JsonWebKey };
  readonly payload: { readonly jti: string; readonly htm: string; readonly htu: string };
  readonly jkt: string;
  readonly valid_at: number;
}

const { proofs, cnf_jkt, opaque_access_token, ath } = readVectors('rfc/rfc9449_dpop.json') as {
  readonly proofs: readonly Example[];
  readonly cnf_jkt: string;
  readonly opaque_access_token: string;
  readonly ath: string;
};

describe('RFC 9449', () => {
  /** The example at its own time and place. */
  function open({ payload, valid_at }: Example) {
    const { origin, pathname } = new URL(payload.htu);
    const service = openService({
      clock: new TestClock(valid_at * 1000),
      publicUrls: [new URL(origin)],
    });
    return { ...service, place: { method: payload.htm, target: pathname } };
  }

  const atTokenEndpoint = proofs.filter(({ payload }) => !('ath' in payload));
  const atResource = proofs.filter(({ payload }) => 'ath' in payload);

  it('has two proofs for its token endpoint and one for its resource', () => {
    expect([atTokenEndpoint.length, atResource.length]).toEqual([2, 1]);
  });

  it.each(atTokenEndpoint)('$id proves its key, once', async (example) => {
    const { proofs: checks, place } = open(example);
    const request = requestWith(example.proof, place);
    expect(await checks.check(request)).toEqual({ jkt: example.jkt, nextNonce: undefined });
    expect(await verdictOf(checks.check(request))).toBe('ERR_PROOF_REPLAYED');
  });

  it.each(atResource)('$id proves its key for its token, once', async (example) => {
    const { proofs: checks, place } = open(example);
    const request = requestWith(example.proof, place);
    const bound = { token: opaque_access_token, jkt: cnf_jkt };
    expect(await checks.check(request, bound)).toMatchObject({ jkt: cnf_jkt });
    expect(await verdictOf(checks.check(request, bound))).toBe('ERR_PROOF_REPLAYED');
    expect(digestOf(opaque_access_token)).toBe(ath);
  });

  it.each(proofs)(
    '$id is refused at another time, place and for another token',
    async (example) => {
      const bound = { token: `${opaque_access_token}x`, jkt: cnf_jkt };
      const verdictAt = async (seconds: number): Promise<string> => {
        const { proofs: checks, place, clock } = open(example);
        clock.advance(seconds * 1000);
        return verdictOf(checks.check(requestWith(example.proof, place)));
      };
      expect([await verdictAt(71), await verdictAt(-11)]).toEqual([
        'ERR_PROOF_TIME',
        'ERR_PROOF_TIME',
      ]);
      const { proofs: checks, place } = open(example);
      const elsewhere = requestWith(example.proof, { ...place, target: `${place.target}/x` });
      expect(await verdictOf(checks.check(elsewhere))).toBe('ERR_PROOF_URL');
      const otherwise = requestWith(example.proof, { ...place, method: 'PUT' });
      expect(await verdictOf(checks.check(otherwise))).toBe('ERR_PROOF_METHOD');
      const withOther = checks.check(requestWith(example.proof, place), bound);
      expect(await verdictOf(withOther)).toBe('ERR_PROOF_TOKEN');
    },
  );
});

describe('malicious sample', () => {
  const clock = new TestClock();
  const holder = newProofHolder();
  const API = 'https://api.heldout.test';
  const TOKEN = 'bound-token';

  let made: ReadonlyMap<string, string>;
  let jkt: string;

  beforeAll(async () => {
    jkt = await calculateJwkThumbprint(holder);
    made = materializeAll({ audience: API, clock, holder, token: TOKEN });
  });

  function check(...ids: readonly string[]): readonly Promise<string>[] {
    const texts = ids.map((id) => made.get(id) ?? '');
    const request = requestWith(texts);
    return [request, asFastify(request)].map((one) => {
      const service = openService({ clock, publicUrls: [new URL(API)] });
      return verdictOf(service.proofs.check(one, { token: TOKEN, jkt }));
    });
  }

  it.each(ROWS.filter(({ slot }) => slot === 'dpop'))('$id $name is $expected', async (row) => {
    const fitting = row.expected === 'accept' ? /^accepted$/ : /^ERR_PROOF_/;
    for (const verdict of check(row.id)) expect(await verdict).toMatch(fitting);
  });

  it.each(ROWS.filter(({ slot }) => slot !== 'dpop'))(
    '$id $class: $name, a token, is no proof',
    async ({ id }) => {
      for (const verdict of check(id)) expect(await verdict).toMatch(/^ERR_PROOF_/);
    },
  );

  it('H048: of two right proofs neither counts', async () => {
    for (const verdict of check('T293', 'T294')) expect(await verdict).toBe('ERR_PROOF_FORMAT');
  });
});
