import type { EmergencySurroundings } from '../../lib/emergency/emergency.service.js';
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

const incidents = (): readonly unknown[] =>
  room.heard.filter(({ type }) => type === 'incident.executed');

const currentKid = async (): Promise<string> => (await room.keyRing.signingKey()).kid;

/** What `execute` rejected with. */
async function failureOf(
  incident: Incident,
  changes: Partial<EmergencySurroundings> = {},
): Promise<IncidentError> {
  const error: unknown = await room
    .emergency(changes)
    .execute(incident)
    .catch((cause: unknown) => cause);
  if (!(error instanceof IncidentError)) throw new TypeError('it did not fail as an incident does');
  return error;
}

function fakeTimers(): void {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date'] });
}

describe('a plan', () => {
  it('counts what an incident touches, says the steps, and changes nothing', async () => {
    const sids = [await room.startSession('alice'), await room.startSession('alice')];
    await room.startSession('bob');
    const token = await room.sign('alice', sids[0]);
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
      steps: ['revokeSubject', 'revokeSessions', 'endSessions'],
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

    expect(await room.verdict(token)).toBe('accepted');
    expect(await room.sessions.list(OWNER)).toHaveLength(2);
    expect(room.keyRing.jwks().etag).toBe(jwks);
    expect(room.revocations.health().entries).toBe(0);
    expect(room.heard).toEqual([]);
  });

  it('says what nothing counts, and leaves out the steps for it', async () => {
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
    const sid = await room.startSession('alice');
    const others = await room.startSession('bob');
    const tokens = [await room.sign('alice', sid), await room.sign('alice')];
    const bystander = await room.sign('bob', others);
    const report = await room.emergency().execute(STOLEN);
    expect(report).toEqual({
      incident: STOLEN,
      counts: { sessions: 1, subjects: 1, tokens: null, connections: null },
      steps: [
        { step: 'revokeSubject', outcome: 'done', code: null },
        { step: 'revokeSessions', outcome: 'done', code: null },
        { step: 'endSessions', outcome: 'done', code: null },
      ],
    });
    for (const token of tokens) expect(await room.verdict(token)).toBe(REFUSED);
    expect(await room.verdict(bystander)).toBe('accepted');
    expect(await room.sessions.list(OWNER)).toEqual([]);
    expect((await room.sessions.count()).sessions).toBe(1);
  });

  it('can be used again at once by whom it belongs to', async () => {
    await room.startSession('alice');
    await room.emergency().execute(STOLEN);
    const token = await room.sign('alice', await room.startSession('alice'));
    expect(await room.verdict(token)).toBe('accepted');
  });

  it('leaves the thief no token that a refresh under way issues afterwards', async () => {
    const sid = await room.startSession('alice');
    let late = '';
    const sessions = spoiledSessions(room.sessions, {
      // The refresh passed its check before the session ended, and signs only now.
      endAll: async (request) => {
        const ended = await room.sessions.endAll(request);
        late = await room.sign('alice', sid);
        return ended;
      },
    });
    await room.emergency({ sessions }).execute(STOLEN);
    expect(await room.verdict(late)).toBe(REFUSED);
    expect(await room.verdict(await room.sign('alice', sid))).toBe(REFUSED);
  });

  it('leaves the thief no session that is started while the others are listed', async () => {
    let token = '';
    const sessions = spoiledSessions(room.sessions, {
      list: async (owner) => {
        const listed = await room.sessions.list(owner);
        const sid = await room.startSession('alice');
        token = await room.sign('alice', sid);
        return listed;
      },
    });
    await room.emergency({ sessions }).execute(STOLEN);
    expect(await room.verdict(token)).toBe(REFUSED);
    expect(await room.sessions.list(OWNER)).toEqual([]);
  });

  it('has every one of many sessions tried, also after some that failed', async () => {
    await Promise.all(Array.from({ length: 40 }, () => room.startSession('alice')));
    const tried = new Set<string>();
    const revocations: EmergencySurroundings['revocations'] = {
      revokeAll: () => room.revocations.revokeAll(),
      revokeKey: (kid) => room.revocations.revokeKey(kid),
      revokeSubject: (sub) => room.revocations.revokeSubject(sub),
      revokeSession: async (sid) => {
        tried.add(sid);
        if (tried.size <= 20) throw AWAY;
        return room.revocations.revokeSession(sid);
      },
    };
    // The step that would try those that failed again does not get to it.
    const sessions = spoiledSessions(room.sessions, { endAll: () => Promise.reject(AWAY) });
    const error = await failureOf(STOLEN, { revocations, sessions });
    expect(error.steps.map(({ outcome }) => outcome)).toEqual(['done', 'failed', 'failed']);
    expect(tried.size).toBe(40);
    const verdicts = [...tried].map(async (sid) => room.verdict(await room.sign('alice', sid)));
    const refused = (await Promise.all(verdicts)).filter((verdict) => verdict === REFUSED);
    expect(refused).toHaveLength(20);
  });

  it('has those sessions revoked that failed first, once they are ended', async () => {
    const sid = await room.startSession('alice');
    let failed = 0;
    const revocations: EmergencySurroundings['revocations'] = {
      revokeAll: () => room.revocations.revokeAll(),
      revokeKey: (kid) => room.revocations.revokeKey(kid),
      revokeSubject: (sub) => room.revocations.revokeSubject(sub),
      revokeSession: async (id) => {
        if (failed++ === 0) throw AWAY;
        return room.revocations.revokeSession(id);
      },
    };
    const error = await failureOf(STOLEN, { revocations });
    expect(error.steps.map(({ outcome }) => outcome)).toEqual(['done', 'failed', 'done']);
    expect(await room.verdict(await room.sign('alice', sid))).toBe(REFUSED);
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
    const bad = await room.sign('alice');
    room.clock.advance(60_000);
    const before = new Date(room.clock.now());
    const good = await room.sign('alice');
    room.clock.advance(60_000);
    await room.emergency().execute({ kind: 'badDeployment', before });
    expect(await room.verdict(bad)).toBe(REFUSED);
    expect(await room.verdict(good)).toBe('accepted');
  });
});

describe('everything', () => {
  it('loses every token there is, and none that is issued after it', async () => {
    const tokens = [await room.sign('alice'), await room.sign('bob')];
    await room.emergency().execute(EVERYTHING);
    for (const token of tokens) expect(await room.verdict(token)).toBe(REFUSED);
    expect(await room.verdict(await room.sign('alice'))).toBe('accepted');
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
        steps: ['revokeSubject:done', 'revokeSessions:done', 'endSessions:done'],
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
  it('is named, the others are done, and the next execution closes it', async () => {
    const sid = await room.startSession('alice');
    const token = await room.sign('alice', sid);
    const sessions = spoiledSessions(room.sessions, { endAll: () => Promise.reject(AWAY) });
    const error = await failureOf({ ...STOLEN, reference: 'INC-1' }, { sessions });
    expect(error).toMatchObject({
      name: 'IncidentError',
      code: 'ERR_INCIDENT_INCOMPLETE',
      message:
        'The incident is not over: endSessions (ERR_STORE_UNAVAILABLE) failed. Run it again.',
      counts: { sessions: 1 },
      cause: AWAY,
    });
    expect(error.steps.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'failed']);
    expect(incidents()).toMatchObject([
      {
        reference: 'INC-1',
        outcome: 'incomplete',
        steps: ['revokeSubject:done', 'revokeSessions:done', 'endSessions:ERR_STORE_UNAVAILABLE'],
      },
    ]);
    expect(await room.verdict(token)).toBe(REFUSED);
    await room.emergency().execute(STOLEN);
    expect(await room.sessions.list(OWNER)).toEqual([]);
    expect(incidents()).toMatchObject([{ outcome: 'incomplete' }, { outcome: 'done' }]);
  });

  it('first does not keep the rest from being tried', async () => {
    await room.startSession('alice');
    const revocations: EmergencySurroundings['revocations'] = {
      revokeAll: () => Promise.reject(AWAY),
      revokeKey: () => Promise.reject(AWAY),
      revokeSession: () => Promise.reject(AWAY),
      revokeSubject: () => Promise.reject(AWAY),
    };
    const error = await failureOf(STOLEN, { revocations });
    expect(error.steps.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'failed']);
    expect(await room.sessions.list(OWNER)).toEqual([]);
  });

  it.each<[what: string, thrown: unknown]>([
    ['an error without a code', new Error('duplicate key value (sub)=(alice)')],
    ['a code of another package', Object.assign(new Error('x'), { code: 'ECONNREFUSED' })],
    ['a code that says too much', Object.assign(new Error('x'), { code: 'ERR_alice' })],
    ['a code that is no text', Object.assign(new Error('x'), { code: 42 })],
    ['a text', 'alice'],
    ['nothing', undefined],
  ])('with %s is unexpected, and its words go nowhere', async (_what, thrown) => {
    const sessions = spoiledSessions(room.sessions, { endAll: () => Promise.reject(thrown) });
    const error = await failureOf(STOLEN, { sessions });
    expect(error.steps.at(-1)).toEqual({
      step: 'endSessions',
      outcome: 'failed',
      code: 'ERR_UNEXPECTED',
    });
    expect(error.message).not.toContain('alice');
    expect(JSON.stringify(incidents())).not.toContain('alice');
  });

  it('because it never answers is given up, and the rest is done', async () => {
    const sid = await room.startSession('alice');
    const sessions = spoiledSessions(room.sessions, { list: () => new Promise(() => {}) });
    fakeTimers();
    const failure = failureOf(STOLEN, { sessions });
    await jest.advanceTimersByTimeAsync(60_000);
    jest.useRealTimers();
    expect((await failure).steps).toEqual([
      { step: 'revokeSubject', outcome: 'done', code: null },
      { step: 'revokeSessions', outcome: 'failed', code: 'ERR_STORE_UNAVAILABLE' },
      { step: 'endSessions', outcome: 'done', code: null },
    ]);
    expect(await room.verdict(await room.sign('alice', sid))).toBe(REFUSED);
  });
});

function fail(): never {
  throw new Error('nobody counts');
}
