import { join } from 'node:path';

import { type RunningProcess, startProcess } from '../support/processes.js';
import type { LocalHttps } from './local-https.js';
import { AUDIENCE } from './service.js';

/** Verifiers that other people wrote, each in a service of its own. */

export const LIBRARIES = [
  'aws-jwt-verify',
  'express-oauth2-jwt-bearer',
  'fast-jwt',
  'jsonwebtoken',
] as const;

export type Library = (typeof LIBRARIES)[number];

/** What a verifier is told to trust, and nothing else. */
export interface Trust {
  readonly issuer: string;
  /** @defaultValue `ES256` */
  readonly algorithm?: string;
}

export interface Verdict {
  readonly status: number;
  /** What the library itself says. */
  readonly error?: string;
}

export class Verifier {
  private constructor(
    readonly process: RunningProcess,
    readonly library: Library,
  ) {}

  static async start(library: Library, https: LocalHttps): Promise<Verifier> {
    const process = await startProcess({
      args: [join(__dirname, 'fixtures', `${library}.mjs`)],
      env: { ...https.environment, JWKS_MAX_AGE: '1000' },
      readyWhen: /ready on (\S+)\n/,
    });
    return new Verifier(process, library);
  }

  async judge(token: string, { issuer, algorithm = 'ES256' }: Trust): Promise<Verdict> {
    const query = new URLSearchParams({ issuer, algorithm, audience: AUDIENCE });
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${this.process.match[1]}/?${query.toString()}`, { headers });
    const body = (await answer.json()) as { readonly sub?: string; readonly error?: string };
    // Nobody's word is taken for a token of another subject.
    if (answer.ok && body.sub !== 'user-1') throw new Error('accepted, and read as something else');
    return { status: answer.status, ...(body.error === undefined ? {} : { error: body.error }) };
  }
}

export type Verifiers = Readonly<Record<Library, Verifier>>;

export async function startVerifiers(https: LocalHttps): Promise<Verifiers> {
  const start = (library: Library): Promise<Verifier> => Verifier.start(library, https);
  const [aws, express, fast, jsonwebtoken] = await Promise.all([
    start('aws-jwt-verify'),
    start('express-oauth2-jwt-bearer'),
    start('fast-jwt'),
    start('jsonwebtoken'),
  ]);
  return {
    'aws-jwt-verify': aws,
    'express-oauth2-jwt-bearer': express,
    'fast-jwt': fast,
    jsonwebtoken,
  };
}
