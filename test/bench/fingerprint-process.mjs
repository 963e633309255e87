/**
 * Judges requests with tokens seen before, as the guard does, round about in one process: without a
 * binding, by the fingerprint, by the address, by both, and by both behind a proxy, whose connections
 * carry the requests of many clients.
 */
import 'reflect-metadata';

import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';

import { Module, RequestMethod } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AuthGuard, JwtHardeningModule, SenderProofs, SessionService } from 'nest-jwt-hardening';

import { takePace } from './pace.mjs';
import { readMachine, readProcess } from './processor-time.mjs';
import { median } from './statistics.mjs';

const CLIENTS = 500;
const TIMES = 20;
const ROUNDS = 20;
const WARM_UP = 6;
const PROXY = '10.0.0.1';

class Accounts {
  list() {}
}
const list = Reflect.get(Accounts.prototype, 'list');
Reflect.defineMetadata('method', RequestMethod.GET, list);

/** The same text at another place, as every request brings its own. */
const copy = (text) => Buffer.from(text).toString('latin1');

function headersOf(number) {
  const version = 120 + (number % 20);
  return {
    host: 'api.example',
    connection: 'keep-alive',
    'user-agent': `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`,
    accept: '*/*',
    'accept-language': 'de-AT,de;q=0.9,en-US;q=0.8,en;q=0.7',
    'sec-ch-ua-platform': '"Windows"',
    'sec-ch-ua-mobile': '?0',
    'x-client-signals': Buffer.from(String(number).padStart(32, '.')).toString('base64url'),
  };
}

const addressOf = (number) => `198.${number >> 8}.${number & 0xff}.7`;

function connectionFrom(remoteAddress) {
  return Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress });
}

const shared = Array.from({ length: 50 }, () => connectionFrom(PROXY));

function requestOf(number, { isProxied, socket }, more = {}) {
  const forwarded = isProxied ? { 'x-forwarded-for': addressOf(number) } : {};
  const headers = Object.entries({ ...headersOf(number), ...forwarded, ...more });
  const request = new IncomingMessage(socket);
  request.method = 'GET';
  request.url = '/accounts';
  request.headers = Object.fromEntries(headers.map(([name, text]) => [name, copy(text)]));
  request.rawHeaders = headers.flat();
  return request;
}

function contextOf(request) {
  return {
    getType: () => 'http',
    getClass: () => Accounts,
    getHandler: () => list,
    switchToHttp: () => ({ getRequest: () => request, getResponse: () => ({}) }),
  };
}

async function application(binding, { isProxied = false } = {}) {
  function BenchModule() {}
  Module({
    imports: [
      JwtHardeningModule.forRoot({
        issuer: 'https://issuer.example',
        audience: 'api',
        binding,
        tokens: { accessTtl: '1h' },
        transport: { trustedProxies: isProxied ? [PROXY] : [] },
      }),
    ],
  })(BenchModule);
  const app = await NestFactory.createApplicationContext(BenchModule, { logger: false });
  const [guard, senders, sessions] = [AuthGuard, SenderProofs, SessionService].map((token) =>
    app.get(token),
  );
  const contexts = [];
  for (let number = 0; number < CLIENTS; number++) {
    const socket = isProxied ? shared[number % shared.length] : connectionFrom(addressOf(number));
    const from = { isProxied, socket };
    const { accessToken } = await sessions.start(
      `user-${number}`,
      await senders.prove(requestOf(number, from)),
    );
    const authorization = { authorization: `Bearer ${accessToken}` };
    // From here on the token and its sender are ones that were seen before.
    const first = await guard.canActivate(contextOf(requestOf(number, from, authorization)));
    if (first !== true) throw new Error('refused');
    contexts.push(contextOf(requestOf(number, from, authorization)));
  }
  return { guard, contexts };
}

const both = { fingerprint: {}, address: {} };
const STATES = {
  'no binding': await application({}),
  fingerprint: await application({ fingerprint: {} }),
  address: await application({ address: {} }),
  'fingerprint and address': await application(both),
  'no binding, behind a proxy': await application({}, { isProxied: true }),
  'fingerprint and address, behind a proxy': await application(both, { isProxied: true }),
};

/** Microseconds of the main thread per request. */
function round({ guard, contexts }) {
  const before = readProcess(process.pid).main;
  for (let time = 0; time < TIMES; time++) {
    for (const context of contexts) {
      if (guard.canActivate(context) !== true) throw new Error('it was not judged at once');
    }
  }
  return (readProcess(process.pid).main - before) / (TIMES * CLIENTS) / 1e3;
}

const before = { machine: readMachine(), own: readProcess(process.pid).all };
const beganAt = process.hrtime.bigint();
const names = Object.keys(STATES);
const samples = new Map(names.map((name) => [name, []]));
const paces = [];
for (let number = -WARM_UP; number < ROUNDS; number++) {
  for (const name of number % 2 === 0 ? names : names.toReversed()) {
    const sample = round(STATES[name]);
    if (number >= 0) samples.get(name).push(sample);
  }
  if (number >= 0 && number % 5 === 0) paces.push(takePace());
}
const wall = Number(process.hrtime.bigint() - beganAt);
const others = readMachine() - before.machine - (readProcess(process.pid).all - before.own);
const result = {
  microseconds: Object.fromEntries(names.map((name) => [name, median(samples.get(name))])),
  pace: median(paces),
  others: Math.max(0, others / wall),
};
process.send(result, () => process.exit());
