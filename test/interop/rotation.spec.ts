import { eventually } from '../support/redis-server.js';
import { LocalHttps } from './local-https.js';
import { type IssuedToken, Service } from './service.js';
import { LIBRARIES, type Library, startVerifiers, type Verifiers } from './verifiers.js';

const ROTATIONS = 2;

/** A second of max-age, and a little more than it needs to be public in time. */
const OPTIONS = {
  tokens: { accessTtl: '5s', maxLifetime: '5s', leeway: '1s' },
  keys: { rotateEvery: '4s', publishAhead: '2500ms', retainFor: '6s', jwksMaxAge: '1s' },
} as const;

/** When a token is shown again: its key may have been succeeded by then. */
const AGAIN_AFTER = 3_000;

/** What is left of its lifetime when a token is shown for the last time. */
const IN_TIME = 1_000;

/** What a key of a token can be while the token is valid. */
const SITUATIONS = ['signing alone', 'signing, successor public', 'verifying'] as const;
type Situation = (typeof SITUATIONS)[number];

const https = new LocalHttps();
let verifiers: Verifiers;

beforeAll(async () => {
  verifiers = await startVerifiers(https);
});

afterAll(() => https.close());

async function situationOf(kid: string, issuer: Service): Promise<Situation | undefined> {
  const keys = await issuer.keys();
  const phase = keys.find((key) => key.kid === kid)?.phase;
  if (phase === 'verifying') return phase;
  if (phase !== 'signing') return undefined;
  const isFollowed = keys.some((key) => key.phase === 'published');
  return isFollowed ? 'signing, successor public' : 'signing alone';
}

function expiryOf(token: string): number {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  return (JSON.parse(payload) as { readonly exp: number }).exp * 1000;
}

/** Who accepted tokens of which keys, in which situation, and who refused any. */
class Ledger {
  readonly refused: string[] = [];
  readonly #accepted = new Map<string, Set<string>>();
  tokens = 0;

  async show({ token, kid }: IssuedToken, issuer: Service): Promise<void> {
    const before = await situationOf(kid, issuer);
    const verdicts = await Promise.all(
      LIBRARIES.map(async (library) => ({
        library,
        ...(await verifiers[library].judge(token, issuer)),
      })),
    );
    const after = await situationOf(kid, issuer);
    // On a machine that is slow for a moment it can expire on the way, and must be refused then.
    if (expiryOf(token) <= Date.now()) return;
    this.tokens++;
    for (const { library, status, error } of verdicts) {
      const when = `${before ?? 'gone'}, then ${after ?? 'gone'}`;
      if (status !== 200) this.refused.push(`${kid} by ${library}, ${when}: ${error}`);
      // Between two of them it was in neither for certain.
      else if (before !== undefined && before === after) this.#note(library, before, kid);
    }
  }

  /** How many keys' tokens a library accepted in a situation. */
  keys(library: Library, situation: Situation): number {
    return this.#accepted.get(`${library} ${situation}`)?.size ?? 0;
  }

  #note(library: Library, situation: Situation, kid: string): void {
    const name = `${library} ${situation}`;
    this.#accepted.set(name, (this.#accepted.get(name) ?? new Set()).add(kid));
  }
}

const EVERYWHERE = LIBRARIES.flatMap((library) =>
  SITUATIONS.map((situation) => [library, situation] as const),
);

describe('the keys of an issuer that rotates', () => {
  it(`verify its tokens in every phase of ${ROTATIONS} rotations, for all who follow the JWKS`, async () => {
    const issuer = await Service.start(https, OPTIONS);
    const ledger = new Ledger();
    const again: { readonly issued: IssuedToken; readonly due: number }[] = [];
    const changes = (to: 'signing' | 'retired'): number =>
      issuer.events().filter(({ type }) => type === `key.${to}`).length;
    const isDone = (): boolean =>
      changes('signing') > ROTATIONS &&
      changes('retired') > 0 &&
      EVERYWHERE.every(([library, situation]) => ledger.keys(library, situation) >= ROTATIONS);
    const deadline = Date.now() + 120_000;

    while (!isDone() && Date.now() < deadline) {
      const issued = await issuer.issue();
      await ledger.show(issued, issuer);
      again.push({ issued, due: Date.now() + AGAIN_AFTER });
      while (again[0] !== undefined && again[0].due <= Date.now()) {
        const [ripe] = again.splice(0, 1);
        if (ripe !== undefined && expiryOf(ripe.issued.token) > Date.now() + IN_TIME) {
          await ledger.show(ripe.issued, issuer);
        }
      }
    }
    await issuer.process.stop();

    expect(ledger.refused).toEqual([]);
    expect(EVERYWHERE.filter(([...where]) => ledger.keys(...where) < ROTATIONS)).toEqual([]);
    expect(changes('signing')).toBeGreaterThan(ROTATIONS);
    expect(changes('retired')).toBeGreaterThan(0);
    process.stdout.write(
      `${changes('signing') - 1} rotations: ${ledger.tokens} times a token was shown to 4 verifiers\n`,
    );
  });

  it('verify nothing any more once withdrawn, as soon as a verifier asks again', async () => {
    const issuer = await Service.start(https, { keys: { jwksMaxAge: '1s' } });
    const judge = async (library: Library, { token }: IssuedToken): Promise<number> =>
      (await verifiers[library].judge(token, issuer)).status;
    const withdrawn = await issuer.issue();
    for (const library of LIBRARIES) expect(await judge(library, withdrawn)).toBe(200);
    await issuer.compromise(withdrawn.kid);
    expect(await issuer.refusal(withdrawn.token)).toEqual([401, 'ERR_TOKEN_UNKNOWN_KEY']);
    const next = await issuer.issue();
    expect(next.kid).not.toBe(withdrawn.kid);

    // These ask again after the max-age of a second.
    for (const library of ['express-oauth2-jwt-bearer', 'fast-jwt', 'jsonwebtoken'] as const) {
      await eventually(
        `${library} refuses the old key`,
        async () => (await judge(library, withdrawn)) === 401,
      );
      const { error } = await verifiers[library].judge(withdrawn.token, issuer);
      expect(error).toMatch(/no applicable key|no such key/);
      await eventually(
        `${library} accepts the new key`,
        async () => (await judge(library, next)) === 200,
      );
    }
    // This one never asks again for keys it has: only a kid that it does not know makes it.
    expect(await judge('aws-jwt-verify', withdrawn)).toBe(200);
    expect(await judge('aws-jwt-verify', next)).toBe(200);
    const { status, error } = await verifiers['aws-jwt-verify'].judge(withdrawn.token, issuer);
    expect([status, error]).toEqual([401, expect.stringMatching(/not found in the JWKS/)]);
  });
});
