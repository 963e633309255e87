import type {
  EmergencyService,
  EmergencySurroundings,
} from '../../lib/emergency/emergency.service.js';
import { IncidentError } from '../../lib/emergency/incident-error.js';
import type { Incident } from '../../lib/emergency/incident.js';
import { StoreError } from '../../lib/kernel/errors.js';
import { sessionOwner } from '../../lib/sessions/session-owner.js';
import { ISSUER } from '../support/guarded-app.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { type OperationRoom, openRoom, spoiledSessions } from './operation-room.js';

const STOLEN: Incident = { kind: 'stolenAccount', sub: 'alice' };
const EVERYTHING: Incident = { kind: 'everything' };
const OWNER = sessionOwner({ issuer: ISSUER, subject: 'alice' });
const REFUSED = 'ERR_TOKEN_REVOKED';
const AWAY = new StoreError('ERR_STORE_UNAVAILABLE', 'The store is away.');

let room: OperationRoom;

beforeEach(async () => {
  room = await openRoom();
});

afterEach(() => {
  room.revocations.onModuleDestroy();
  jest.useRealTimers();
});

const incidents = ({ heard } = room): readonly unknown[] =>
  heard.filter(({ type }) => type === 'incident.executed');

const currentKid = async (): Promise<string> => (await room.keyRing.signingKey()).kid;

/** What `execute` rejected with. */
async function failureOf(
  incident: Incident,
  emergency: EmergencyService = room.emergency(),
): Promise<IncidentError> {
  const error: unknown = await emergency.execute(incident).catch((cause: unknown) => cause);
  if (!(error instanceof IncidentError)) throw new TypeError('it did not fail as an incident does');
  return error;
}

function fakeTimers(): void {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date'] });
}

describe('a plan', () => {
  it('counts what an incident touches, says the steps, and changes nothing', async () => {
    const { accessToken } = await room.startSession('alice');
    await room.startSession('alice');
    await room.startSession('bob');
    const kid = await currentKid();
    room.clock.advance(1_000);
    const before = new Date(room.clock.now());
    const jwks = room.keyRing.jwks().etag;
    const asked: unknown[] = [];
    const emergency = room.emergency({
      countTokens: (filter) => asked.push(filter),
      countConnections: () => 7,
    });
    room.heard.length = 0;

    const all = { sessions: 3, subjects: 2, connections: 7 };
    expect(await emergency.plan({ kind: 'leakedKey', kid })).toEqual({
      incident: { kind: 'leakedKey', kid },
      counts: { ...all, tokens: 1 },
      steps: ['compromiseKey'],
    });
    expect(await emergency.plan({ ...STOLEN, reference: 'INC-1' })).toEqual({
      incident: { ...STOLEN, reference: 'INC-1' },
      counts: { sessions: 2, subjects: 1, tokens: 2, connections: 7 },
      steps: ['revokeSubject'],
    });
    expect(await emergency.plan({ kind: 'badDeployment', before })).toEqual({
      incident: { kind: 'badDeployment', before },
      counts: { ...all, tokens: 3 },
      steps: ['revokeBefore'],
    });
    expect(await emergency.plan(EVERYTHING)).toEqual({
      incident: EVERYTHING,
      counts: { ...all, tokens: 4 },
      steps: ['revokeEverything'],
    });
    expect(asked).toEqual([
      { issuer: ISSUER, kid },
      { issuer: ISSUER, subject: 'alice' },
      { issuedBefore: before },
      {},
    ]);

    expect(await room.verdict(accessToken)).toBe('accepted');
    expect(await room.sessions.list(OWNER)).toHaveLength(2);
    expect(room.keyRing.jwks().etag).toBe(jwks);
    expect(room.revocations.health().entries).toBe(0);
    expect(room.heard).toEqual([]);
  });

  it('says what nothing counts', async () => {
    const emergency = room.emergency({ sessions: null });
    expect(await emergency.plan(STOLEN)).toEqual({
      incident: STOLEN,
      counts: { sessions: null, subjects: 1, tokens: null, connections: null },
      steps: ['revokeSubject'],
    });
    expect((await emergency.plan(EVERYTHING)).counts.subjects).toBeNull();
  });

  it.each<[what: string, changes: Partial<EmergencySurroundings>]>([
    ['throw', { countTokens: () => fail(), countConnections: () => fail() }],
    ['are no figures', { countTokens: () => NaN, countConnections: () => -1 }],
  ])('goes without figures that %s', async (_what, changes) => {
    const { counts } = await room.emergency(changes).plan(EVERYTHING);
    expect(counts).toMatchObject({ tokens: null, connections: null });
  });

  it('goes without the sessions of a store that is away, or never answers', async () => {
    const away = spoiledSessions(room.sessions, { count: () => Promise.reject(AWAY) });
    const { counts } = await room.emergency({ sessions: away }).plan(EVERYTHING);
    expect(counts).toMatchObject({ sessions: null, subjects: null });
    fakeTimers();
    const silent = spoiledSessions(room.sessions, { list: () => new Promise(() => {}) });
    const planned = room.emergency({ sessions: silent }).plan(STOLEN);
    await jest.advanceTimersByTimeAsync(5_000);
    expect((await planned).counts).toMatchObject({ sessions: null, subjects: 1 });
  });

  it('is none for a key that the ring does not have', async () => {
    const incident: Incident = { kind: 'leakedKey', kid: 'never-made' };
    await expect(room.emergency().plan(incident)).rejects.toMatchObject({
      code: 'ERR_KEY_UNKNOWN',
    });
  });

  it('of a configured key says what only the operator can do', async () => {
    const configured = await openRoom({ keys: { signingKey: await newPrivateJwk() } });
    const { kid } = await configured.keyRing.signingKey();
    const { steps } = await configured.emergency().plan({ kind: 'leakedKey', kid });
    expect(steps).toEqual(['revokeKey', 'replaceConfiguredKey']);
    configured.revocations.onModuleDestroy();
  });
});

describe('a stolen account', () => {
  it('loses its tokens and its sessions, and nobody else does', async () => {
    const stolen = await room.startSession('alice');
    const other = await room.startSession('bob');
    const signed = await room.sign('alice');
    const report = await room.emergency().execute(STOLEN);
    expect(report).toEqual({
      incident: STOLEN,
      counts: { sessions: 1, subjects: 1, tokens: null, connections: null },
      steps: [{ step: 'revokeSubject', outcome: 'done', code: null }],
    });
    for (const token of [stolen.accessToken, signed]) {
      expect(await room.verdict(token)).toBe(REFUSED);
    }
    expect(await room.refreshed(stolen)).toBe('ERR_SESSION_UNKNOWN');
    expect(await room.sessions.list(OWNER)).toEqual([]);
    expect(await room.verdict(other.accessToken)).toBe('accepted');
    expect(await room.refreshed(other)).toBe('accepted');
  });

  it('can be used again at once by whom it belongs to', async () => {
    await room.startSession('alice');
    await room.emergency().execute(STOLEN);
    const pair = await room.startSession('alice');
    expect(await room.verdict(pair.accessToken)).toBe('accepted');
    expect(await room.refreshed(pair)).toBe('accepted');
  });

  it('leaves the thief no token of a refresh that was under way', async () => {
    const raced = await openRoom(
      {},
      {
        // Everything that is asked of a session was asked: only the store has the last word.
        rotate: async (request) => {
          await raced.emergency().execute(STOLEN);
          return raced.sessions.rotate(request);
        },
      },
    );
    const stolen = await raced.startSession('alice');
    expect(await raced.refreshed(stolen)).toBe('ERR_SESSION_UNKNOWN');
    raced.revocations.onModuleDestroy();
  });

  it('leaves the thief no session that was being started', async () => {
    const raced = await openRoom(
      {},
      {
        create: async (request) => {
          await raced.emergency().execute(STOLEN);
          return raced.sessions.create(request);
        },
      },
    );
    await expect(raced.startSession('alice')).rejects.toMatchObject({
      code: 'ERR_SESSION_REVOKED',
    });
    expect(await raced.sessions.list(OWNER)).toEqual([]);
    raced.revocations.onModuleDestroy();
  });
});

describe('a leaked key', () => {
  it('signs and verifies no more, and its successor does', async () => {
    const kid = await currentKid();
    const token = await room.sign('alice');
    const incident: Incident = { kind: 'leakedKey', kid, reference: 'INC-7' };
    const { steps } = await room.emergency().execute(incident);
    expect(steps).toEqual([{ step: 'compromiseKey', outcome: 'done', code: null }]);
    expect(await room.verdict(token)).not.toBe('accepted');
    expect(room.keyRing.jwks().body).not.toContain(kid);
    expect(await room.verdict(await room.sign('alice'))).toBe('accepted');
  });

  it('that the ring does not have is not passed off as dealt with', async () => {
    const error = await failureOf({ kind: 'leakedKey', kid: 'never-made' });
    expect(error.steps).toEqual([
      { step: 'compromiseKey', outcome: 'failed', code: 'ERR_KEY_UNKNOWN' },
    ]);
    expect(incidents()).toMatchObject([{ outcome: 'incomplete' }]);
  });

  it('that was configured is refused, and stays open until another is configured', async () => {
    const configured = await openRoom({ keys: { signingKey: await newPrivateJwk() } });
    const { kid } = await configured.keyRing.signingKey();
    const token = await configured.sign('alice');
    await expect(configured.emergency().execute({ kind: 'leakedKey', kid })).rejects.toMatchObject({
      code: 'ERR_INCIDENT_INCOMPLETE',
      steps: [
        { step: 'revokeKey', outcome: 'done', code: null },
        { step: 'replaceConfiguredKey', outcome: 'failed', code: 'ERR_KEY_STATIC' },
      ],
    });
    expect(await configured.verdict(token)).toBe(REFUSED);
    const replaced = { rotates: false, keys: () => [], compromise: () => fail() };
    const emergency = configured.emergency({ keyRing: replaced });
    const { steps } = await emergency.execute({ kind: 'leakedKey', kid });
    expect(steps.map(({ outcome }) => outcome)).toEqual(['done', 'done']);
    configured.revocations.onModuleDestroy();
  });
});

describe('a bad deployment', () => {
  it('loses what was issued before the instant, and nothing after it', async () => {
    const bad = await room.startSession('alice');
    room.clock.advance(60_000);
    const before = new Date(room.clock.now());
    const good = await room.startSession('alice');
    room.clock.advance(60_000);
    await room.emergency().execute({ kind: 'badDeployment', before });
    expect(await room.verdict(bad.accessToken)).toBe(REFUSED);
    expect(await room.verdict(good.accessToken)).toBe('accepted');
    expect(await room.refreshed(bad)).toBe('ERR_SESSION_REVOKED');
    expect(await room.refreshed(good)).toBe('accepted');
  });
});

describe('everything', () => {
  it('loses every token there is, and none that is issued after it', async () => {
    const tokens = [await room.sign('alice'), await room.sign('bob')];
    const before = await room.startSession('alice');
    await room.emergency().execute(EVERYTHING);
    for (const token of tokens) expect(await room.verdict(token)).toBe(REFUSED);
    expect(await room.refreshed(before)).toBe('ERR_SESSION_REVOKED');
    expect(await room.verdict(await room.sign('alice'))).toBe('accepted');
    expect(await room.refreshed(await room.startSession('alice'))).toBe('accepted');
  });
});

describe('an incident that is executed', () => {
  it('is recorded as one event, without whom it is about', async () => {
    await room.startSession('alice');
    const at = new Date(room.clock.now());
    await room.emergency({ countTokens: () => 4 }).execute({ ...STOLEN, reference: 'INC-1' });
    expect(incidents()).toEqual([
      {
        type: 'incident.executed',
        at,
        kind: 'stolenAccount',
        reference: 'INC-1',
        outcome: 'done',
        counts: { sessions: 1, subjects: 1, tokens: 4, connections: null },
        steps: ['revokeSubject:done'],
      },
    ]);
    expect(JSON.stringify(incidents())).not.toContain('alice');
  });

  it.each<[Incident]>([
    [STOLEN],
    [EVERYTHING],
    [{ kind: 'badDeployment', before: new Date(0) }],
    [{ kind: 'leakedKey', kid: 'signing' }],
  ])('twice, and twice at once, is done each time: %j', async (incident) => {
    const kid = await currentKid();
    const real: Incident = incident.kind === 'leakedKey' ? { ...incident, kid } : incident;
    await room.startSession('alice');
    const emergency = room.emergency();
    await Promise.all([emergency.execute(real), emergency.execute(real)]);
    await emergency.execute(real);
    expect(incidents()).toMatchObject(Array.from({ length: 3 }, () => ({ outcome: 'done' })));
  });

  it('and is none changes nothing and is no event', async () => {
    const token = await room.sign('alice');
    const misspelled = { kind: 'everything', refrence: 'x' } as Incident;
    await expect(room.emergency().execute(misspelled)).rejects.toThrow(TypeError);
    expect(await room.verdict(token)).toBe('accepted');
    expect(incidents()).toEqual([]);
  });

  it('is what was asked for, whatever the caller makes of it meanwhile', async () => {
    const old = await room.sign('alice');
    room.clock.advance(60_000);
    const before = new Date(room.clock.now());
    const asked = { kind: 'badDeployment', before } as const;
    const executed = room.emergency().execute(asked);
    before.setTime(0);
    await executed;
    expect(await room.verdict(old)).toBe(REFUSED);
  });

  it('does not wait for figures', async () => {
    const token = await room.sign('alice');
    const sessions = spoiledSessions(room.sessions, { count: () => new Promise(() => {}) });
    fakeTimers();
    const executed = room.emergency({ sessions }).execute(EVERYTHING);
    for (let turns = 0; turns < 100; turns++) await new Promise((go) => void setImmediate(go));
    expect(await room.verdict(token)).toBe(REFUSED);
    expect(incidents()).toEqual([]);
    await jest.advanceTimersByTimeAsync(5_000);
    expect((await executed).counts.sessions).toBeNull();
  });
});

describe('a step that fails', () => {
  it('is named, and the next execution closes it', async () => {
    let isAway = true;
    const troubled = await openRoom(
      {},
      {
        endAll: async (request) => {
          if (isAway) throw AWAY;
          return troubled.sessions.endAll(request);
        },
      },
    );
    const stolen = await troubled.startSession('alice');
    const error = await failureOf({ ...STOLEN, reference: 'INC-1' }, troubled.emergency());
    expect(error).toMatchObject({
      name: 'IncidentError',
      code: 'ERR_INCIDENT_INCOMPLETE',
      message:
        'The incident is not over: revokeSubject (ERR_STORE_UNAVAILABLE) failed. Run it again.',
      counts: { sessions: 1 },
      cause: AWAY,
    });
    expect(incidents(troubled)).toMatchObject([
      {
        reference: 'INC-1',
        outcome: 'incomplete',
        steps: ['revokeSubject:ERR_STORE_UNAVAILABLE'],
      },
    ]);
    expect(await troubled.verdict(stolen.accessToken)).toBe(REFUSED);
    expect(await troubled.sessions.list(OWNER)).toHaveLength(1);
    isAway = false;
    await troubled.emergency().execute(STOLEN);
    expect(await troubled.sessions.list(OWNER)).toEqual([]);
    expect(incidents(troubled)).toMatchObject([{ outcome: 'incomplete' }, { outcome: 'done' }]);
    troubled.revocations.onModuleDestroy();
  });

  it('first does not keep the rest from being tried', async () => {
    const configured = await openRoom({ keys: { signingKey: await newPrivateJwk() } });
    const { kid } = await configured.keyRing.signingKey();
    const error = await failureOf(
      { kind: 'leakedKey', kid },
      configured.emergency({ revocations: revocationsThat(() => Promise.reject(AWAY)) }),
    );
    expect(error.steps).toEqual([
      { step: 'revokeKey', outcome: 'failed', code: 'ERR_STORE_UNAVAILABLE' },
      { step: 'replaceConfiguredKey', outcome: 'failed', code: 'ERR_KEY_STATIC' },
    ]);
    configured.revocations.onModuleDestroy();
  });

  it.each<[what: string, thrown: unknown]>([
    ['an error without a code', new Error('duplicate key value (sub)=(alice)')],
    ['a code of another package', Object.assign(new Error('x'), { code: 'ECONNREFUSED' })],
    ['a code that says too much', Object.assign(new Error('x'), { code: 'ERR_alice' })],
    ['a code that is no text', Object.assign(new Error('x'), { code: 42 })],
    ['a text', 'alice'],
    ['nothing', undefined],
  ])('with %s is unexpected, and its words go nowhere', async (_what, thrown) => {
    const revocations = revocationsThat(() => Promise.reject(thrown));
    const error = await failureOf(STOLEN, room.emergency({ revocations }));
    expect(error.steps).toEqual([
      { step: 'revokeSubject', outcome: 'failed', code: 'ERR_UNEXPECTED' },
    ]);
    expect(error.message).not.toContain('alice');
    expect(JSON.stringify(incidents())).not.toContain('alice');
  });

  it('because it never answers is given up, and the rest is done', async () => {
    const configured = await openRoom({ keys: { signingKey: await newPrivateJwk() } });
    const { kid } = await configured.keyRing.signingKey();
    const emergency = configured.emergency({
      revocations: revocationsThat(() => new Promise(() => {})),
      keyRing: { rotates: false, keys: () => [], compromise: () => fail() },
    });
    fakeTimers();
    const failure = failureOf({ kind: 'leakedKey', kid }, emergency);
    await jest.advanceTimersByTimeAsync(30_000);
    jest.useRealTimers();
    expect((await failure).steps).toEqual([
      { step: 'revokeKey', outcome: 'failed', code: 'ERR_STORE_UNAVAILABLE' },
      { step: 'replaceConfiguredKey', outcome: 'done', code: null },
    ]);
    configured.revocations.onModuleDestroy();
  });
});

/** Revocations of which every verb does the same. */
function revocationsThat(revoke: () => Promise<never>): EmergencySurroundings['revocations'] {
  return { revokeAll: revoke, revokeKey: revoke, revokeSubject: revoke };
}

function fail(): never {
  throw new Error('nobody counts');
}
