/**
 * `node dpop-process.mjs <url> <server's pid> <rounds> <proofs>`: checks DPoP proofs against Redis,
 * beside what no such check can do without: one signature verification and one round trip to the
 * store. One at a time and many at a time, all in one process, in turn; answers what each proof took
 * in each round.
 */
import { createHash, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';

import { redisStorage } from 'nest-jwt-hardening/redis';
import { SecurityEvents } from 'nest-jwt-hardening';

import { DpopProofs } from '../../dist/binding/dpop/dpop-proofs.js';
import { SenderSecrets } from '../../dist/binding/sender-secrets.js';
import { SystemClock } from '../../dist/kernel/clock.js';
import { takePace } from './pace.mjs';
import { readMachine, readProcess } from './processor-time.mjs';

const IN_FLIGHT = 100;
const CLIENTS = 400;
const WARM_UP = 6_000;
const ORIGIN = 'https://api.example';
/** As long as an access token is. */
const TOKEN = 't'.repeat(700);
const ath = createHash('sha256').update(TOKEN).digest('base64url');

const [url, server, rounds, count] = process.argv.slice(2);

// Patient, because it is not measured how an instance waits for a machine that is busy otherwise.
const storage = redisStorage({ url, keyPrefix: `bench-${process.pid}:`, deadline: '5s' });
const proofs = new DpopProofs(
  {
    publicUrls: [new URL(ORIGIN)],
    algorithms: ['ES256'],
    proofFor: 300_000,
    leeway: 10_000,
    nonces: { validFor: 3_600_000 },
    perMinute: 600,
    secrets: new SenderSecrets([randomBytes(32)]),
  },
  {
    replays: storage.replayStore,
    counter: storage.attemptStore,
    clock: new SystemClock(),
    events: new SecurityEvents(),
  },
);

const clients = Array.from({ length: CLIENTS }, () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } });
  const jkt = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  return { privateKey, verifyWith: { key: publicKey, dsaEncoding: 'ieee-p1363' }, header, jkt };
});

let made = 0;

/** A request with a proof nobody has seen, and what is needed to check it by hand. */
function newRequest(index) {
  const client = clients[index % CLIENTS];
  const claims = {
    jti: `${process.pid}-${made++}`.padEnd(22, '-'),
    htm: 'GET',
    htu: `${ORIGIN}/me`,
  };
  const payload = { ...claims, iat: Date.now() / 1000, ath, nonce: proofs.freshNonce() };
  const input = `${client.header}.${encode(payload)}`;
  const signature = sign('sha256', input, { key: client.privateKey, dsaEncoding: 'ieee-p1363' });
  const proof = `${input}.${signature.toString('base64url')}`;
  return {
    client,
    input: Buffer.from(input),
    signature,
    claim: { key: `bench:${claims.jti}`, expiresAt: Date.now() + 300_000 },
    request: {
      method: 'GET',
      originalUrl: '/me?page=2',
      headers: {},
      rawHeaders: ['Host', 'api.example', 'Accept', '*/*', 'User-Agent', 'bench', 'DPoP', proof],
    },
  };
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

const verifyAtOnce = ({ client, input, signature }) => {
  if (!verify('sha256', input, client.verifyWith, signature)) throw new Error('a wrong signature');
};
const verifyInPool = ({ client, input, signature }) =>
  new Promise((resolve, reject) => {
    verify('sha256', input, client.verifyWith, signature, (error, valid) =>
      valid ? resolve() : reject(error ?? new Error('a wrong signature')),
    );
  });
const claim = async ({ claim: wanted }) => {
  if (!(await storage.replayStore.claimOnce(wanted))) throw new Error('it was claimed before');
};

const VARIANTS = {
  'signature at once': verifyAtOnce,
  'round trip': claim,
  'signature at once, round trip': async (one) => {
    verifyAtOnce(one);
    await claim(one);
  },
  'signature in the pool, round trip': async (one) => {
    await verifyInPool(one);
    await claim(one);
  },
  check: ({ request, client }) => proofs.check(request, { token: TOKEN, jkt: client.jkt }),
};

const MODES = { 'one at a time': 1, [`${IN_FLIGHT} in flight`]: IN_FLIGHT };

// Not counted: until everything is compiled, on a machine that is busy otherwise too.
for (const lanes of Object.values(MODES)) {
  for (const work of Object.values(VARIANTS)) await measure(work, lanes, WARM_UP / 2);
}

const usedSoFar = () => readProcess(process.pid).all + readProcess(server).all;
const before = { machine: readMachine(), used: usedSoFar() };
const startedAt = process.hrtime.bigint();
const samples = {};
for (let round = 0; round < Number(rounds); round++) {
  for (const [mode, lanes] of Object.entries(MODES)) {
    const order = Object.entries(VARIANTS);
    for (const [name, work] of round % 2 === 0 ? order : order.toReversed()) {
      (samples[`${name}, ${mode}`] ??= []).push(await measure(work, lanes, Number(count)));
    }
  }
}
const wall = Number(process.hrtime.bigint() - startedAt);
const others = (readMachine() - before.machine - (usedSoFar() - before.used)) / wall;
const result = { samples, pace: takePace(), others: Math.max(0, others) };
await storage.close();
process.send(result, () => process.exit());

/** Microseconds that each took, and the processor time of it by who spent it. */
async function measure(work, lanes, times) {
  const requests = Array.from({ length: times }, (_, index) => newRequest(index));
  const spentBefore = { ...readProcess(process.pid), server: readProcess(server).all };
  const beganAt = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (next < times) await work(requests[next++]);
    }),
  );
  const took = performance.now() - beganAt;
  const spentAfter = { ...readProcess(process.pid), server: readProcess(server).all };
  const spent = (who) => (spentAfter[who] - spentBefore[who]) / 1e3 / times;
  return {
    each: (took * 1e3) / times,
    main: spent('main'),
    all: spent('all'),
    server: spent('server'),
  };
}
