import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { recordSecret } from '../support/witness.js';
import { HttpLine } from './http-line.js';
import { Instance, type SaidEvent } from './instances.js';
import { pick } from './revocation-figures.js';
import { type Pair, SessionClient } from './session-clients.js';
import { sessionSetting } from './session-instances.js';

/** The brief's thousand take some minutes: `CONFIRMATION_ROUNDS=1000`. */
const ROUNDS = Number(process.env['CONFIRMATION_ROUNDS'] ?? 30);

const INSTANCES = 3;

/** Uses of one confirmation at a time, over all instances. */
const USES = 50;

interface Posted {
  readonly status: number;
  readonly body: unknown;
  readonly challenge: string | undefined;
}

/** Somebody with one connection to one instance. */
class User {
  readonly #line: HttpLine;

  constructor({ url }: Pick<Instance, 'url'>) {
    this.#line = new HttpLine(Number(new URL(url).port));
  }

  async post(path: string, token: string, head: readonly string[] = []): Promise<Posted> {
    const { status, headers, text } = await this.#line.ask(`POST /step-up/${path}`, [
      `Authorization: Bearer ${token}`,
      ...head,
    ]);
    return { status, body: JSON.parse(text) as unknown, challenge: headers('www-authenticate') };
  }

  close(): void {
    this.#line.close();
  }
}

describeWithRedis('step-up on three processes', () => {
  let redis: RedisServer;
  let instances: readonly Instance[];
  let users: readonly User[];
  /** One of each instance. */
  let judges: readonly SessionClient[];

  beforeAll(async () => {
    redis = await startRedis();
    const setting = sessionSetting(redis, {});
    const silent = [...(setting.silent ?? []), 'confirmation.issued', 'stepUp.asked'] as const;
    instances = await Promise.all(
      Array.from({ length: INSTANCES }, () => Instance.start({ ...setting, silent })),
    );
    judges = instances.map((instance) => new SessionClient(instance));
    users = Array.from({ length: USES }, (_, place) => new User(pick(instances, place)));
  });

  afterAll(async () => {
    for (const client of [...users, ...judges]) client.close();
    await Promise.all(instances.map(({ process }) => process.stop()));
    await redis.stop();
  });

  /** All of them at once: each instance lets go of its share in one turn of its loop. */
  function atOnce(
    name: string,
    path: string,
    token: string,
    head: readonly string[] = [],
  ): Promise<readonly Posted[]> {
    return Promise.all(
      users.map((user, place) => {
        const share = Math.ceil((USES - (place % INSTANCES)) / INSTANCES);
        return user.post(path, token, [...head, `X-Barrier: ${name} ${share}`]);
      }),
    );
  }

  async function confirmed(at: User, token: string): Promise<string> {
    const { status, body } = await at.post('issue', token);
    if (status !== 201) throw new Error(`a confirmation was answered with ${status}`);
    const { confirmationToken } = body as { readonly confirmationToken: string };
    recordSecret(confirmationToken);
    return confirmationToken;
  }

  const said = (type: string): readonly SaidEvent[] =>
    instances.flatMap((instance) => instance.events()).filter((event) => event.type === type);

  it(`${ROUNDS} rounds: of ${USES} uses of one confirmation one gets through`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { accessToken } = await pick(judges, round).start(`user-${round}`);
      const confirmation = await confirmed(pick(users, round + 1), accessToken);
      const head = [`X-Confirmation-Token: ${confirmation}`];
      const answers = await atOnce(`spend-${round}`, 'spend', accessToken, head);
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
      const refused = answers.filter(({ status }) => status === 401);
      expect(refused).toHaveLength(USES - 1);
      expect(new Set(refused.map(({ challenge }) => challenge))).toEqual(
        new Set(['Bearer error="insufficient_user_authentication", action="spend"']),
      );
      // And none later, anywhere.
      const later = await Promise.all(
        users.slice(0, INSTANCES).map((user) => user.post('spend', accessToken, head)),
      );
      expect(later.map(({ status }) => status)).toEqual([401, 401, 401]);
    }
    const used = said('confirmation.used').map((event) => (event as { jti?: string }).jti);
    expect(used).toHaveLength(ROUNDS);
    expect(new Set(used)).toHaveProperty('size', ROUNDS);
    expect(said('confirmation.rejected')).toHaveLength(ROUNDS * (USES - 1 + INSTANCES));
    process.stdout.write(`${ROUNDS} x ${USES} uses of a confirmation at once: one success each\n`);
  });

  it('confirms nothing anywhere once its session has ended somewhere', async () => {
    const { accessToken, sessionId } = await pick(judges, 0).start('alice');
    const confirmation = await confirmed(pick(users, 0), accessToken);
    await pick(judges, 1).end(sessionId);
    const other = await pick(judges, 2).start('alice');
    await eventually('no instance takes it', async () => {
      const answers = await Promise.all(judges.map((judge) => judge.accepts(accessToken)));
      return answers.every((accepts) => !accepts);
    });
    const head = [`X-Confirmation-Token: ${confirmation}`];
    for (const token of [accessToken, other.accessToken]) {
      const answers = await Promise.all(
        users.slice(0, INSTANCES).map((user) => user.post('spend', token, head)),
      );
      expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
    }
  });

  it(`leaves nothing of the old session after ${USES} step-ups at once`, async () => {
    const old = await pick(judges, 0).start('carol');
    const answers = await atOnce('replace', 'replace', old.accessToken);
    const pairs = answers.flatMap(({ status, body }) => (status === 201 ? [body as Pair] : []));
    for (const pair of pairs) {
      recordSecret(pair.accessToken);
      recordSecret(pair.refreshToken);
    }
    expect(pairs.length).toBeGreaterThan(0);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(USES - pairs.length);
    await eventually('no instance accepts the old token', async () =>
      (await Promise.all(judges.map((judge) => judge.accepts(old.accessToken)))).every((is) => !is),
    );
    expect((await pick(judges, 1).refresh(old.refreshToken)).status).toBe(401);
    // What was answered works, everywhere, and nothing that was not.
    for (const { accessToken } of pairs) {
      const accepts = await Promise.all(judges.map((judge) => judge.accepts(accessToken)));
      expect(accepts).toEqual([true, true, true]);
    }
    expect(said('stepUp.passed')).toHaveLength(pairs.length);
    const list = await fetch(`${pick(instances, 0).url}/sessions/list`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ subject: 'carol' }),
    });
    const left = (await list.json()) as readonly { readonly sessionId: string }[];
    expect(left.map(({ sessionId }) => sessionId).toSorted()).toEqual(
      pairs.map(({ sessionId }) => sessionId).toSorted(),
    );
  });
});
