/**
 * `npm run bench [-- parts and options]`: what the package costs, beside its peers, in one run.
 *
 *   parts                cached, revocation-request, jwks, first-sight, boot, revocation,
 *                        replay, refresh, dpop, fingerprint (all)
 *   --adapter NAME       express or fastify (both)
 *   --quick              about a minute: enough to see that nothing is broken, not to believe a figure
 *   --rounds N --replicas N --milliseconds N --boot-rounds N --retakes N
 *   --revocations N      entries in the revocation part (10 million; --quick: 1 million)
 *   --replay-entries N   entries in the replay part (1 million; --quick: 100 000)
 *   --distinct-tokens N  tokens in circulation in the parts cached and revocation-request
 *   --patience SECONDS   waiting for others to leave the machine alone, in all (60; --quick: 0)
 *   --json FILE          every sample
 *
 * Linux only: processor time per thread comes from /proc.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';

import { ADAPTERS } from './adapters.mjs';
import { findLoadedPackages, measureBoot } from './boot.mjs';
import { start } from './child-process.mjs';
import { issueTokens, newIdentity } from './credentials.mjs';
import { dpopTargets, formatDpop, measureDpop } from './dpop.mjs';
import { fingerprintTargets, formatFingerprint, measureFingerprint } from './fingerprint.mjs';
import { measureGuards } from './guarded-route.mjs';
import { formatReplay, isRedisInstalled, measureReplay } from './log-replay.mjs';
import { REFERENCE_MICROSECONDS } from './pace.mjs';
import { Patience } from './patience.mjs';
import { formatRefresh, measureRefresh, refreshTargets } from './refresh.mjs';
import { formatBoot, formatGuards, formatTargets, isMet } from './report.mjs';
import {
  askingTargets,
  formatAsking,
  measureAsking,
  REVOCATION_REQUEST,
} from './revocation-request.mjs';
import { formatRevocation, measureRevocation, revocationTargets } from './revocation.mjs';

const POOL = 10_000;

const GUARD_PARTS = {
  cached: {
    title: 'A token seen before, full guard with a scope check',
    variants: ['open', 'empty', 'ours, cached', 'fast-jwt, cached'],
    targets: ({ adapter, by, pace }) => [
      {
        what: `cached, ${adapter}: main thread over the empty guard`,
        unit: ' us',
        value: by('ours, cached').mainOverEmpty,
        atMost: 4,
        pace,
      },
      {
        what: `cached, ${adapter}: throughput of the empty guard`,
        value: by('ours, cached').toEmpty,
        atLeast: adapter === 'fastify' ? 0.86 : 0.97,
      },
    ],
  },
  'revocation-request': REVOCATION_REQUEST,
  jwks: {
    title: 'The JWKS, beside a route that returns a text',
    variants: ['prepared string', 'prepared string, public', 'ours, JWKS'],
    targets: ({ adapter, by }) =>
      ['prepared string', 'prepared string, public'].map((plain) => ({
        what: `jwks, ${adapter}: throughput of a ${plain}`,
        value: by('ours, JWKS').throughputOver[plain],
        atLeast: 0.9,
      })),
  },
  'first-sight': {
    title: `First sight of a token, ${POOL} distinct ones in a circle`,
    variants: [
      'empty',
      'ours, small cache',
      'ours, no cache',
      'node:crypto, minimal',
      'jose',
      'fast-jwt, no cache',
      '@nestjs/jwt',
      'passport-jwt',
    ],
    targets: ({ adapter, by, pace }) =>
      ['ours, small cache', 'ours, no cache'].flatMap((name) => {
        const own = by(name);
        const main = {
          what: `first sight, ${adapter}: main thread over the empty guard (${name})`,
          unit: ' us',
          value: own.mainOverEmpty,
          atMost: 25,
          pace,
        };
        const peers = { jose: 1.25, 'fast-jwt, no cache': 1.5, '@nestjs/jwt': 4 };
        const throughput = Object.entries(peers).map(([peer, atLeast]) => ({
          what: `first sight, ${adapter}: throughput of ${peer} (${name})`,
          value: own.throughputOver[peer],
          atLeast,
        }));
        return adapter === 'fastify' ? [main, ...throughput] : [main];
      }),
  },
};

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    adapter: { type: 'string', multiple: true, default: ADAPTERS },
    rounds: { type: 'string' },
    replicas: { type: 'string' },
    milliseconds: { type: 'string' },
    'boot-rounds': { type: 'string' },
    'distinct-tokens': { type: 'string' },
    revocations: { type: 'string' },
    'replay-entries': { type: 'string' },
    retakes: { type: 'string' },
    patience: { type: 'string' },
    json: { type: 'string' },
  },
});
const PARTS = [
  ...Object.keys(GUARD_PARTS),
  'fingerprint',
  'boot',
  'revocation',
  'replay',
  'refresh',
  'dpop',
];
const parts = positionals.length === 0 ? PARTS : positionals;
const unknown = parts.filter((part) => !PARTS.includes(part));
if (unknown.length > 0) throw new TypeError(`unknown part ${unknown.join(', ')}`);
if (process.platform !== 'linux') throw new TypeError('processor time is read from /proc: Linux');

const number = (name, normal, quick) => Number(options[name] ?? (options.quick ? quick : normal));

const patience = new Patience({
  seconds: number('patience', 60, 0),
  retakes: number('retakes', 40, 0),
});

const results = { node: process.version, processor: cpus()[0]?.model, startedAt: new Date() };
const targets = [];

console.log(
  [
    `Node ${process.version}, ${availableParallelism()} processors (${cpus()[0]?.model}), 50 connections.`,
    'Server and load generator share these processors, and so does the thread pool of the server.',
    'us/req: processor time per request. busy: share of the time that thread was running or ready to.',
    'others: processors taken by other programs. A disturbed sample is taken again, a limited number of',
    'times; where more than a few percent remain, no figure of that line is worth much.',
    `pace: one ES256 verification on one thread, now. The targets in us were set where it took`,
    `${REFERENCE_MICROSECONDS} us; the last column says what the figure would be there.`,
  ].join('\n'),
);

const guardParts = parts.filter((part) => part in GUARD_PARTS);
if (guardParts.length > 0) {
  const identity = newIdentity();
  const load = start('./load-process.mjs');
  const issued = await issueTokens(identity, POOL);
  for (const part of guardParts) {
    // Who fetches keys has no token.
    await load.ask({ tokens: part === 'jwks' ? [null] : issued });
    for (const adapter of options.adapter) {
      const { title, variants, targets: targetsOf } = GUARD_PARTS[part];
      const { pace, summaries } = await measureGuards(
        {
          adapter,
          variants,
          replicas: number('replicas', 2, 1),
          rounds: number('rounds', 6, 2),
          milliseconds: number('milliseconds', 800, 400),
          // Enough for the compiler to have settled, also on a machine that is busy otherwise.
          warmUp: { requestsAtMost: 15_000, milliseconds: options.quick ? 1_500 : 3_000 },
          distinctTokens: part === 'first-sight' ? POOL : number('distinct-tokens', 1_000, 1_000),
        },
        { identity, load, patience },
      );
      console.log(
        `\n${title} (${adapter}; pace ${pace.toFixed(0)} us)\n${formatGuards(summaries)}`,
      );
      results[`${part}, ${adapter}`] = { pace, summaries };
      const by = (name) => summaries.find(({ variant }) => variant === name);
      targets.push(...targetsOf({ adapter, by, pace }));
    }
  }
  await load.stop();
}

if (parts.includes('revocation-request')) {
  const measured = await measureAsking(patience);
  console.log(`\nAsking for revocations (pace ${measured.pace.toFixed(0)} us)`);
  console.log(formatAsking(measured));
  results.asking = measured;
  targets.push(...askingTargets(measured));
}

if (parts.includes('boot')) {
  for (const adapter of options.adapter) {
    const summaries = await measureBoot(
      { adapter, rounds: number('boot-rounds', 15, 3) },
      patience,
    );
    console.log(`\nFrom the start of the process until it listens (${adapter})`);
    console.log(formatBoot(summaries));
    results[`boot, ${adapter}`] = summaries;
    const { added } = summaries.find(({ kind }) => kind === 'forRoot');
    targets.push({ what: `boot, ${adapter}: forRoot adds`, unit: ' ms', value: added, atMost: 60 });
  }
  const loaded = await findLoadedPackages();
  console.log(`\nImporting the package loads ${loaded.files} files of`);
  console.log(`  ${loaded.packages.join(' ')}`);
  results.loaded = loaded;
  targets.push({ what: 'optional packages loaded', value: loaded.optional.length, atMost: 0 });
}

if (parts.includes('revocation')) {
  const entries = number('revocations', 10_000_000, 1_000_000);
  const measured = await measureRevocation({ entries }, patience);
  console.log(`\nThe index of revocations (pace ${measured.pace.toFixed(0)} us)`);
  console.log(formatRevocation(measured));
  results.revocation = measured;
  targets.push(...revocationTargets(measured));
}

if (parts.includes('replay') && !isRedisInstalled()) {
  console.log('\nNOT MEASURED: replay needs redis-server.');
} else if (parts.includes('replay')) {
  const entries = number('replay-entries', 1_000_000, 100_000);
  const summaries = await measureReplay({ entries, rounds: number('boot-rounds', 5, 1) }, patience);
  console.log(
    `\nA new instance reads ${entries} revocations from Redis\n${formatReplay(summaries)}`,
  );
  results.replay = summaries;
  const ahead = summaries.find(({ way }) => way === 'ahead');
  const { milliseconds, server, pages, longestPause, pace } = ahead;
  const perMillion = (milliseconds / entries) * 1e6;
  targets.push(
    { what: 'replay: one million', unit: ' ms', value: perMillion, atMost: 2_500, pace },
    { what: 'replay: Redis per page', unit: ' ms', value: server / pages, atMost: 10, pace },
    { what: 'replay: longest pause', unit: ' ms', value: longestPause, atMost: 15, pace },
  );
}

if (parts.includes('refresh') && !isRedisInstalled()) {
  console.log('\nNOT MEASURED: refresh needs redis-server.');
} else if (parts.includes('refresh')) {
  const measured = await measureRefresh(
    {
      replicas: number('replicas', 3, 1),
      rounds: number('rounds', 6, 2),
      milliseconds: number('milliseconds', 1_000, 500),
    },
    patience,
  );
  console.log(`\nRefreshing sessions in Redis (pace ${measured.pace.toFixed(0)} us)`);
  console.log(formatRefresh(measured));
  results.refresh = measured;
  targets.push(...refreshTargets(measured));
}

if (parts.includes('fingerprint')) {
  const measured = await measureFingerprint(patience);
  console.log(`\nRecognising the sender (pace ${measured.pace.toFixed(0)} us)`);
  console.log(formatFingerprint(measured));
  results.fingerprint = measured;
  targets.push(...fingerprintTargets(measured));
}

if (parts.includes('dpop') && !isRedisInstalled()) {
  console.log('\nNOT MEASURED: dpop needs redis-server.');
} else if (parts.includes('dpop')) {
  const measured = await measureDpop(
    {
      replicas: number('replicas', 3, 1),
      rounds: number('rounds', 6, 2),
      proofs: options.quick ? 1_000 : 4_000,
    },
    patience,
  );
  console.log(`\nChecking DPoP proofs against Redis (pace ${measured.pace.toFixed(0)} us)`);
  console.log(formatDpop(measured));
  results.dpop = measured;
  targets.push(...dpopTargets(measured));
}

console.log(`\n${formatTargets(targets)}`);
results.targets = targets.map((target) => ({ ...target, met: isMet(target) }));
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(results, null, 2));
