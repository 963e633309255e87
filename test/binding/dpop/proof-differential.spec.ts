import * as fc from 'fast-check';
import { EmbeddedJWK, jwtVerify } from 'jose';

import type { SigningAlgorithm } from '../../../lib/keys/algorithms.js';
import {
  encode,
  type Holder,
  newHolder,
  openService,
  proofOf,
  requestWith,
  type Service,
  TOKEN,
  verdictOf,
} from './proof-mother.js';

/** What this service accepts, jose accepts with the key of the header; of signatures, also the reverse. */

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'Ed25519', 'PS256', 'RS256'] as const;

let holders: ReadonlyMap<SigningAlgorithm, Holder>;

beforeAll(async () => {
  const made = ALGORITHMS.map(async (alg) => [alg, await newHolder(alg)] as const);
  holders = new Map(await Promise.all(made));
});

function holderOf(alg: SigningAlgorithm): Holder {
  const holder = holders.get(alg);
  if (holder === undefined) throw new TypeError(`no key of ${alg}`);
  return holder;
}

const ours = (proof: string, { proofs }: Service, jkt: string): Promise<string> =>
  verdictOf(proofs.check(requestWith(proof), { token: TOKEN, jkt }));

async function theirs(proof: string, { clock }: Service): Promise<'accepted' | 'refused'> {
  const options = {
    algorithms: [...ALGORITHMS],
    typ: 'dpop+jwt',
    currentDate: new Date(clock.now()),
  };
  return jwtVerify(proof, EmbeddedJWK, options).then(
    () => 'accepted' as const,
    () => 'refused' as const,
  );
}

async function expectTheirs(proof: string, service: Service): Promise<void> {
  expect(await theirs(proof, service)).toBe('accepted');
}

const open = (): Service => openService({ algorithms: ALGORITHMS, perMinute: 1_000_000 });
const algorithm = fc.constantFrom(...ALGORITHMS);

it('both accept right proofs of every algorithm', async () => {
  const service = open();
  for (const alg of ALGORITHMS) {
    const proof = await proofOf(holderOf(alg), service.clock);
    expect([await theirs(proof, service), await ours(proof, service, holderOf(alg).jkt)]).toEqual([
      'accepted',
      'accepted',
    ]);
  }
});

it('both refuse and accept the same signatures', async () => {
  const service = open();
  const change = fc.record({
    alg: algorithm,
    from: fc.nat(600),
    bytes: fc.uint8Array({ maxLength: 4 }),
    cut: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ alg, from, bytes, cut }) => {
      const proof = await proofOf(holderOf(alg), service.clock);
      const [header, payload, signature = ''] = proof.split('.');
      const old = Buffer.from(signature, 'base64url');
      const at = from % (old.length + 1);
      const made = Buffer.concat([
        old.subarray(0, at),
        bytes,
        old.subarray(Math.min(old.length, at + bytes.length + (cut === 3 ? 1 : 0))),
      ]);
      const changed = `${header}.${payload}.${made.toString('base64url')}`;
      const verdict = await ours(changed, service, holderOf(alg).jkt);
      expect(verdict === 'accepted' ? 'accepted' : 'refused').toBe(await theirs(changed, service));
      expect(verdict).toBe(made.equals(old) ? 'accepted' : 'ERR_PROOF_SIGNATURE');
    }),
    { numRuns: 400 },
  );
}, 600_000);

it('accepts no text that jose refuses, whatever is changed in it', async () => {
  const service = open();
  const change = fc.record({
    alg: algorithm,
    at: fc.nat(2_000),
    text: fc.stringMatching(/^[A-Za-z0-9_.=+/ -]{0,3}$/),
    drop: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ alg, at, text, drop }) => {
      const proof = await proofOf(holderOf(alg), service.clock);
      const place = at % proof.length;
      const changed = proof.slice(0, place) + text + proof.slice(place + drop);
      const verdict = await ours(changed, service, holderOf(alg).jkt);
      expect(verdict === 'accepted').toBe(changed === proof);
      if (verdict === 'accepted') await expectTheirs(changed, service);
    }),
    { numRuns: 400 },
  );
}, 600_000);

it('accepts no header that jose refuses, signed by the key all the same', async () => {
  const service = open();
  const names = fc.constantFrom('typ', 'alg', 'jwk', 'kid', 'crit', 'b64', 'x5c', 'cty', 'note');
  const jwkNames = fc.constantFrom('kty', 'crv', 'x', 'y', 'n', 'e', 'd', 'k', 'alg', 'use', 'kid');
  const values = fc.oneof(
    fc.constantFrom<unknown>(...ALGORITHMS, 'none', 'HS256', 'EC', 'OKP', 'RSA', 'oct', 'P-256'),
    fc.constantFrom<unknown>(
      'dpop+jwt',
      'JWT',
      'sig',
      'enc',
      'AQAB',
      null,
      true,
      [],
      {},
      undefined,
    ),
  );
  const change = fc.record({
    alg: algorithm,
    member: fc.option(fc.tuple(names, values)),
    jwkMember: fc.option(fc.tuple(jwkNames, values)),
  });
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(change, async ({ alg, member, jwkMember }) => {
      const holder = holderOf(alg);
      const jwk = jwkMember === null ? holder.jwk : { ...holder.jwk, [jwkMember[0]]: jwkMember[1] };
      const header = { jwk, ...(member === null ? {} : { [member[0]]: member[1] }) };
      const proof = await proofOf(holder, service.clock, { header });
      const verdict = await ours(proof, service, holder.jkt);
      if (verdict !== 'accepted') return;
      accepted++;
      await expectTheirs(proof, service);
    }),
    { numRuns: 600 },
  );
  expect(accepted).toBeGreaterThan(0);
}, 600_000);

it('takes the key of no header for that of another', async () => {
  const service = open();
  const [one, two] = [holderOf('ES256'), await newHolder()];
  const proof = await proofOf(one, service.clock);
  const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: two.jwk });
  const swapped = `${header}${proof.slice(proof.indexOf('.'))}`;
  for (const first of [proof, await proofOf(two, service.clock)]) {
    await ours(first, service, first === proof ? one.jkt : two.jkt);
    expect(await ours(swapped, service, two.jkt)).toBe('ERR_PROOF_SIGNATURE');
  }
});
