import { describeWithRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { Instance, type InstanceOptions } from './instances.js';
import { Client, instant, type Login } from './revocation-clients.js';
import { newEncryptionKey, pick } from './revocation-figures.js';

/** The suite plays fewer than the thousand that figures are taken of. */
const ROUNDS = Number(process.env['SAME_SECOND_ROUNDS'] ?? 100);

/** So many subjects at a time; the tokens that live through one round die in the next. */
const SUBJECTS = 4;

const SKEWS = [-90_000, 0, 90_000];

/** Another instance has to learn of it; how soon is what revocation-latency.spec.ts measures. */
const ELSEWHERE_WITHIN = 30_000;

/** Who logs in before, who revokes, who logs in after: every order of three. */
const ORDERS = [
  [0, 1, 2],
  [1, 2, 0],
  [2, 0, 1],
  [0, 2, 1],
  [2, 1, 0],
  [1, 0, 2],
] as const;

/** One subject that logs in, is revoked and logs in again, round after round. */
class Subject {
  /** Rounds in which `iat` could not have told the tokens apart. */
  sameSecond = 0;
  readonly wrong: string[] = [];
  readonly #sub: string;
  readonly #clients: readonly Client[];
  #survivor: Login | undefined;

  constructor(sub: string, instances: readonly Instance[]) {
    this.#sub = sub;
    this.#clients = instances.map((instance) => new Client(instance));
  }

  async live(isOver: (round: number) => boolean): Promise<void> {
    for (let round = 0; !isOver(round); round++) await this.#round(round);
    for (const client of this.#clients) client.close();
  }

  async #round(round: number): Promise<void> {
    const kind = round % 2 === 0 ? 'subject' : 'version';
    const [early, revoker, late] = pick(ORDERS, round).map((place) => pick(this.#clients, place));
    if (early === undefined || revoker === undefined || late === undefined) return;
    const before = await early.loginOne(this.#sub);
    const old = this.#survivor === undefined ? [before] : [this.#survivor, before];
    const { acknowledgedAt, isAccepted } = await revoker.mustRevoke(kind, before);
    const after = await late.loginOne(this.#sub);
    if (after.iat <= before.iat) this.sameSecond++;

    const complain = (what: string): void =>
      void this.wrong.push(`round ${round}, ${kind}: ${what}`);
    if (isAccepted) complain('the old token was accepted by who had acknowledged');
    // Who issued the new one had to know by then.
    for (const client of [revoker, late]) {
      const accepted = await client.acceptedOf([...old, after]);
      if (accepted.some((login) => login !== after)) complain('an old token was accepted at once');
    }
    for (const client of this.#clients) {
      const { status } = await client.get('/check', after.token);
      if (status !== 200) complain(`the new token was answered with ${status}`);
    }
    await this.#expectRefused(early, old, acknowledgedAt, complain);
    const [accepted] = await early.acceptedOf([...old, after]);
    if (accepted !== after) complain('old tokens took the new one along');
    this.#survivor = after;
  }

  async #expectRefused(
    client: Client,
    old: readonly Login[],
    acknowledgedAt: number,
    complain: (what: string) => void,
  ): Promise<void> {
    for (;;) {
      const askedAt = instant();
      if ((await client.acceptedOf(old)).length === 0) return;
      if (askedAt - acknowledgedAt > ELSEWHERE_WITHIN) return complain('an old token lived on');
    }
  }
}

describeWithRedis('everything of a subject, revoked within a second', () => {
  let redis: RedisServer;
  let instances: readonly Instance[];

  beforeAll(async () => {
    redis = await startRedis();
    const setting: InstanceOptions = {
      redisUrl: redis.url,
      keyPrefix: 'exactness:',
      redis: { deadline: '5s' },
      silent: ['token.rejected', 'revocation.made'],
      options: {
        keys: { encryptionKeys: newEncryptionKey() },
        tokens: { accessTtl: '1h' },
        outage: { maxLag: '30s' },
      },
    };
    instances = await Promise.all(SKEWS.map((skew) => Instance.start({ ...setting, skew })));
  });

  afterAll(async () => {
    await Promise.all(instances.map(({ process }) => process.stop()));
    await redis.stop();
  });

  it(`${ROUNDS} rounds with clocks three minutes apart: earlier tokens die, later ones live`, async () => {
    const subjects = Array.from(
      { length: SUBJECTS },
      (_, number) => new Subject(`subject-${number}`, instances),
    );
    const sameSecond = (): number => subjects.reduce((sum, subject) => sum + subject.sameSecond, 0);
    const counts = await Promise.all(
      subjects.map(async (subject) => {
        let rounds = 0;
        await subject.live((round) => {
          rounds = round;
          return sameSecond() >= ROUNDS || round >= ROUNDS;
        });
        return rounds;
      }),
    );
    expect(subjects.flatMap(({ wrong }) => wrong)).toEqual([]);
    // On a machine so slow that most rounds take longer, nothing was proven.
    expect(sameSecond()).toBeGreaterThanOrEqual(ROUNDS);
    process.stdout.write(
      `${counts.reduce((sum, count) => sum + count, 0)} rounds of login, revocation and login, ` +
        `${sameSecond()} of them within one second of iat: none wrong\n`,
    );
  });
});
