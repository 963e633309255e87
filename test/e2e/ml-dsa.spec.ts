import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { runProcess } from '../support/processes.js';
import { recordNotRun, recordSecret } from '../support/witness.js';
import { Instance, type IssuedToken } from './instances.js';
import { findRuntimes } from './runtimes.js';

/** Post-quantum signatures (FIPS 204), on the first line of Node that has them. */

const folder = mkdtempSync(join(tmpdir(), 'njh-ml-dsa-'));
const { runtimes } = findRuntimes(join(folder, 'runtimes'));
const node24 = runtimes.find(({ version }) => version.startsWith('v24.'));

const VERIFIER = join(__dirname, 'fixtures/instance/verifier.mjs');
const SIGNATURE_BYTES = { 'ML-DSA-44': 2420, 'ML-DSA-65': 3309, 'ML-DSA-87': 4627 } as const;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

if (node24 === undefined) {
  recordNotRun('ML-DSA', 'Node 24');
  it('NOT RUN: needs Node 24', () => expect(node24).toBeUndefined());
} else {
  const { command } = node24;

  async function verifyOutside(
    instance: Instance,
    algorithm: string,
    { token }: IssuedToken,
  ): Promise<string> {
    const args = [VERIFIER, `${instance.url}/.well-known/jwks.json`, algorithm, token];
    const { stdout } = await runProcess({ command, args });
    return stdout.trim();
  }

  describe(`ML-DSA on Node ${node24.version}`, () => {
    it.each(Object.entries(SIGNATURE_BYTES))(
      '%s signs beside ES256, is published, verified here and by jose, and rotates',
      async (name, bytes) => {
        const algorithm = name as keyof typeof SIGNATURE_BYTES;
        const keys = { algorithm: ['ES256', algorithm] } as const;
        const instance = await Instance.start({ command, options: { keys } });
        const [classic, quantum] = [await instance.issue(), await instance.issue(algorithm)];
        for (const { token } of [classic, quantum]) {
          recordSecret(token);
          expect(await instance.check(token)).toBe(200);
        }
        const [header = '', , signature = ''] = quantum.token.split('.');
        expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toMatchObject({
          alg: algorithm,
        });
        expect(Buffer.from(signature, 'base64url')).toHaveLength(bytes);

        const { keys: published } = await instance.get<{
          readonly keys: readonly Readonly<Record<string, string>>[];
        }>('/.well-known/jwks.json');
        expect(published.map((jwk) => [jwk['kty'], jwk['alg'], jwk['kid']])).toEqual([
          ['EC', 'ES256', classic.kid],
          ['AKP', algorithm, quantum.kid],
        ]);
        expect(published.every((jwk) => !('priv' in jwk) && !('d' in jwk))).toBe(true);

        expect(await verifyOutside(instance, algorithm, quantum)).toBe('accepted user-1');
        expect(await verifyOutside(instance, 'ES256', classic)).toBe('accepted user-1');
        expect(await verifyOutside(instance, algorithm, classic)).toMatch(/^refused/);

        // One bit of the signature, or the other algorithm's name over it.
        const forged = `${quantum.token.slice(0, -8)}${'A'.repeat(8)}`;
        expect(await instance.check(forged)).toBe(401);
        await instance.post('/rotate');
        const ring = await instance.get<{ readonly keys: readonly { phase: string }[] }>('/ring');
        expect(ring.keys.map(({ phase }) => phase).toSorted()).toEqual([
          'published',
          'published',
          'signing',
          'signing',
        ]);
        expect(await instance.check(quantum.token)).toBe(200);
        await instance.process.stop();
      },
    );

    it('is refused by name at the start where the runtime lacks it', async () => {
      const keys = { algorithm: 'ML-DSA-44' } as const;
      await expect(Instance.start({ options: { keys } })).rejects.toThrow(
        process.version.startsWith('v20.') ? /does not have ML-DSA-44.*Node 24\.6/ : /^/,
      );
    });
  });
}
