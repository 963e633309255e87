import { EventLog } from '../../lib/events/event-log.js';
import {
  type SecurityEvent,
  SecurityEvents,
  type SecurityEventType,
} from '../../lib/events/security-events.js';
import { breakLog, captureLog, type LogLine } from './captured-log.js';

const at = new Date(Date.UTC(2026, 10, 22));
const issuer = 'https://other.example';
const key = { at, kid: 'key-1', algorithm: 'ES256' };

/** Compiles only while every type of event has its row. */
const ROWS: {
  readonly [Type in SecurityEventType]: {
    readonly event: SecurityEvent<Type>;
    readonly level: LogLine['level'];
    readonly text: string;
  };
} = {
  'key.published': {
    event: { ...key, type: 'key.published', signsFrom: new Date(Date.UTC(2026, 10, 23)) },
    level: 'log',
    text: 'key.published kid=key-1 algorithm=ES256 signsFrom=2026-11-23T00:00:00.000Z',
  },
  'key.signing': {
    event: { ...key, type: 'key.signing' },
    level: 'log',
    text: 'key.signing kid=key-1 algorithm=ES256',
  },
  'key.verifying': {
    event: { ...key, type: 'key.verifying', retiresAt: new Date(Date.UTC(2026, 10, 24)) },
    level: 'log',
    text: 'key.verifying kid=key-1 algorithm=ES256 retiresAt=2026-11-24T00:00:00.000Z',
  },
  'key.retired': {
    event: { ...key, type: 'key.retired' },
    level: 'log',
    text: 'key.retired kid=key-1 algorithm=ES256',
  },
  'key.unavailable': {
    event: { at, type: 'key.unavailable', code: 'ERR_KEY_RING_UNAVAILABLE', detail: 'the store' },
    level: 'error',
    text: 'key.unavailable code=ERR_KEY_RING_UNAVAILABLE detail="the store"',
  },
  'key.compromised': {
    event: { ...key, type: 'key.compromised' },
    level: 'warn',
    text: 'key.compromised kid=key-1 algorithm=ES256',
  },
  'key.restored': {
    event: { at, type: 'key.restored', lost: 'newest changes' },
    level: 'warn',
    text: 'key.restored lost="newest changes"',
  },
  'key.rewrapped': { event: { at, type: 'key.rewrapped' }, level: 'log', text: 'key.rewrapped' },
  'key.unreadable': {
    event: { at, type: 'key.unreadable', code: 'ERR_KEY_RING_CORRUPT', detail: 'no key signs' },
    level: 'error',
    text: 'key.unreadable code=ERR_KEY_RING_CORRUPT detail="no key signs"',
  },
  'key.available': { event: { at, type: 'key.available' }, level: 'log', text: 'key.available' },
  'key.stale': {
    event: { at, type: 'key.stale', onStale: 'acceptWithAlert' },
    level: 'error',
    text: 'key.stale onStale=acceptWithAlert',
  },
  'key.undestroyed': {
    event: { at, type: 'key.undestroyed', kid: 'key-1', detail: 'the key vault failed' },
    level: 'warn',
    text: 'key.undestroyed kid=key-1 detail="the key vault failed"',
  },
  'clock.skewed': {
    event: { at, type: 'clock.skewed', skew: -90_000, verdict: 'followed' },
    level: 'warn',
    text: 'clock.skewed skew=-90000 verdict=followed',
  },
  'issuer.rotated': {
    event: { at, type: 'issuer.rotated', issuer, added: ['a', 'b'], removed: [], replaced: ['c'] },
    level: 'log',
    text: 'issuer.rotated issuer="https://other.example" added="a,b" removed="" replaced=c',
  },
  'issuer.keySkipped': {
    event: { at, type: 'issuer.keySkipped', issuer, kid: null, fault: 'no-kid' },
    level: 'warn',
    text: 'issuer.keySkipped issuer="https://other.example" kid=null fault=no-kid',
  },
  'issuer.secretPublished': {
    event: { at, type: 'issuer.secretPublished', issuer, kid: 'k', fault: 'symmetric' },
    level: 'error',
    text: 'issuer.secretPublished issuer="https://other.example" kid=k fault=symmetric',
  },
  'issuer.unavailable': {
    event: {
      at,
      type: 'issuer.unavailable',
      issuer,
      failure: 'status',
      detail: 'status 500',
      failures: 3,
      usableUntil: null,
    },
    level: 'warn',
    text: 'issuer.unavailable issuer="https://other.example" failure=status detail="status 500" failures=3 usableUntil=null',
  },
  'issuer.available': {
    event: { at, type: 'issuer.available', issuer, failures: 3 },
    level: 'log',
    text: 'issuer.available issuer="https://other.example" failures=3',
  },
  'pin.mismatched': {
    event: {
      at,
      type: 'pin.mismatched',
      issuer,
      certificate: 'sha256/AA',
      publicKey: 'sha256/BB',
      failures: 1,
      usableUntil: at,
    },
    level: 'error',
    text: 'pin.mismatched issuer="https://other.example" certificate="sha256/AA" publicKey="sha256/BB" failures=1 usableUntil=2026-11-22T00:00:00.000Z',
  },
  'store.down': {
    event: { at, type: 'store.down', store: 'redisStorage()', detail: 'refused' },
    level: 'error',
    text: 'store.down store="redisStorage()" detail=refused',
  },
  'store.up': {
    event: { at, type: 'store.up', store: 'redisStorage()', downFor: 5_000 },
    level: 'log',
    text: 'store.up store="redisStorage()" downFor=5000',
  },
  'token.issued': {
    event: { at, type: 'token.issued', kind: 'access', kid: 'key-1', jti: 'id_1', expiresAt: at },
    level: 'debug',
    text: 'token.issued kind=access kid=key-1 jti=id_1 expiresAt=2026-11-22T00:00:00.000Z',
  },
  'revocation.made': {
    event: { at, type: 'revocation.made', kind: 'token', digest: 'abcdefghijklm', until: at },
    level: 'log',
    text: `revocation.made kind=token digest=abcdefghijklm until=${at.toISOString()}`,
  },
  'revocation.unacknowledged': {
    event: { at, type: 'revocation.unacknowledged', kind: 'token', code: 'ERR_STORE_UNAVAILABLE' },
    level: 'error',
    text: 'revocation.unacknowledged kind=token code=ERR_STORE_UNAVAILABLE',
  },
  'revocation.stale': {
    event: { at, type: 'revocation.stale', onStale: 'reject' },
    level: 'error',
    text: 'revocation.stale onStale=reject',
  },
  'revocation.current': {
    event: { at, type: 'revocation.current' },
    level: 'log',
    text: 'revocation.current',
  },
  'revocation.lost': {
    event: { at, type: 'revocation.lost' },
    level: 'error',
    text: 'revocation.lost',
  },
  'revocation.refilled': {
    event: { at, type: 'revocation.refilled', entries: 3 },
    level: 'warn',
    text: 'revocation.refilled entries=3',
  },
  'revocation.unreadable': {
    event: { at, type: 'revocation.unreadable' },
    level: 'error',
    text: 'revocation.unreadable',
  },
  'statusList.unavailable': {
    event: { at, type: 'statusList.unavailable', issuer, origin: issuer, failure: 'timeout' },
    level: 'warn',
    text: 'statusList.unavailable issuer="https://other.example" origin="https://other.example" failure=timeout',
  },
  'statusList.available': {
    event: { at, type: 'statusList.available', issuer, origin: issuer },
    level: 'log',
    text: 'statusList.available issuer="https://other.example" origin="https://other.example"',
  },
  'incident.executed': {
    event: {
      at,
      type: 'incident.executed',
      kind: 'leakedKey',
      outcome: 'done',
      counts: { sessions: 3, subjects: 2, tokens: null, connections: null },
      steps: ['withdrawKey:done'],
    },
    level: 'warn',
    text: 'incident.executed kind=leakedKey outcome=done counts=sessions:3,subjects:2,tokens:null,connections:null steps=withdrawKey:done',
  },
  'legacy.accepted': {
    event: { at, type: 'legacy.accepted', jti: 'id_1', expiresAt: at },
    level: 'debug',
    text: 'legacy.accepted jti=id_1 expiresAt=2026-11-22T00:00:00.000Z',
  },
  'legacy.ended': {
    event: { at, type: 'legacy.ended', until: at },
    level: 'warn',
    text: 'legacy.ended until=2026-11-22T00:00:00.000Z',
  },
  'token.rejected': {
    event: {
      at,
      type: 'token.rejected',
      requestId: 'request-1',
      handler: 'AccountsController.list',
      detail: 'the signature does not verify',
      code: 'ERR_TOKEN_SIGNATURE',
    },
    level: 'warn',
    text: 'token.rejected requestId=request-1 handler=AccountsController.list detail="the signature does not verify" code=ERR_TOKEN_SIGNATURE',
  },
  'session.started': {
    event: { at, type: 'session.started', sessionId: 'session-1', carrier: 'cookie' },
    level: 'log',
    text: 'session.started sessionId=session-1 carrier=cookie',
  },
  'session.refreshed': {
    event: { at, type: 'session.refreshed', sessionId: 'session-1', outcome: 'repeated' },
    level: 'debug',
    text: 'session.refreshed sessionId=session-1 outcome=repeated',
  },
  'session.ended': {
    event: { at, type: 'session.ended', sessionId: 'session-1' },
    level: 'log',
    text: 'session.ended sessionId=session-1',
  },
  'session.unnotified': {
    event: { at, type: 'session.unnotified', sessionId: 'session-1', detail: 'TypeError' },
    level: 'warn',
    text: 'session.unnotified sessionId=session-1 detail=TypeError',
  },
  'session.unreadable': {
    event: { at, type: 'session.unreadable', sessionId: 'session-1' },
    level: 'warn',
    text: 'session.unreadable sessionId=session-1',
  },
  'refresh.reused': {
    event: { at, type: 'refresh.reused', sessionId: 'session-1', misuse: 'older' },
    level: 'error',
    text: 'refresh.reused sessionId=session-1 misuse=older',
  },
  'refresh.rejected': {
    event: { at, type: 'refresh.rejected', code: 'ERR_SESSION_UNKNOWN', detail: 'no such session' },
    level: 'warn',
    text: 'refresh.rejected code=ERR_SESSION_UNKNOWN detail="no such session"',
  },
  'binding.drifted': {
    event: {
      at,
      type: 'binding.drifted',
      sessionId: 's-1',
      jti: 'jti-1',
      signals: ['userAgentVersion'],
      score: 10,
      response: 'note',
    },
    level: 'log',
    text: 'binding.drifted sessionId=s-1 jti=jti-1 signals=userAgentVersion score=10 response=note',
  },
  'binding.mismatched': {
    event: { at, type: 'binding.mismatched', jti: 'jti-1', kind: 'dpop', response: 'refuse' },
    level: 'warn',
    text: 'binding.mismatched jti=jti-1 kind=dpop response=refuse',
  },
  'proof.replayed': {
    event: { at, type: 'proof.replayed', thumbprint: 'jkt-1' },
    level: 'warn',
    text: 'proof.replayed thumbprint=jkt-1',
  },
  'proof.limited': {
    event: { at, type: 'proof.limited', thumbprint: 'jkt-1' },
    level: 'warn',
    text: 'proof.limited thumbprint=jkt-1',
  },
  'proof.rejected': {
    event: { at, type: 'proof.rejected', code: 'ERR_PROOF_TIME', detail: 'iat is too old' },
    level: 'warn',
    text: 'proof.rejected code=ERR_PROOF_TIME detail="iat is too old"',
  },
  'stepUp.asked': {
    event: { at, type: 'stepUp.asked', handler: 'A.b', detail: 'too long ago' },
    level: 'log',
    text: 'stepUp.asked handler=A.b detail="too long ago"',
  },
  'stepUp.passed': {
    event: { at, type: 'stepUp.passed', sessionId: 's-2', replaced: 's-1' },
    level: 'log',
    text: 'stepUp.passed sessionId=s-2 replaced=s-1',
  },
  'confirmation.issued': {
    event: { at, type: 'confirmation.issued', sessionId: 's-1', jti: 'jti-1', action: 'close' },
    level: 'log',
    text: 'confirmation.issued sessionId=s-1 jti=jti-1 action=close',
  },
  'confirmation.used': {
    event: { at, type: 'confirmation.used', sessionId: 's-1', jti: 'jti-1', action: 'close' },
    level: 'log',
    text: 'confirmation.used sessionId=s-1 jti=jti-1 action=close',
  },
  'confirmation.rejected': {
    event: { at, type: 'confirmation.rejected', action: 'close', detail: 'used before' },
    level: 'warn',
    text: 'confirmation.rejected action=close detail="used before"',
  },
  'access.denied': {
    event: { at, type: 'access.denied', detail: 'a policy', code: 'ERR_ACCESS_DENIED' },
    level: 'warn',
    text: 'access.denied detail="a policy" code=ERR_ACCESS_DENIED',
  },
};

let events: SecurityEvents;
let log: readonly LogLine[];
let eventLog: EventLog;

beforeEach(() => {
  log = captureLog();
  events = new SecurityEvents();
  eventLog = new EventLog(events);
});

afterEach(() => eventLog.onModuleDestroy());

describe('EventLog', () => {
  it.each(Object.entries(ROWS))('writes %s as one line', (_type, { event, level, text }) => {
    events.emit(event);
    expect(log).toEqual([{ level, context: 'JwtHardening', text }]);
  });

  it.each([
    ['a line feed', 'a\nb'],
    ['a line break', 'a\r\nERROR [JwtHardening] forged line'],
    ['a NUL and an escape sequence of terminals', 'a\u0000\u001b[31m'],
    ['a delete and a one-byte escape sequence', 'a\u007f\u009b31m'],
    ['line separators of Unicode', 'a\u2028b\u2029c\u0085'],
  ])('cannot be made to write a second line or a control character by %s', (_rule, detail) => {
    events.emit({ at, type: 'access.denied', detail, code: 'ERR_ACCESS_DENIED' });
    expect(log).toHaveLength(1);
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(log[0]?.text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
  });

  it('quotes a value that could pass for another field', () => {
    const detail = 'x code=ERR_FORGED';
    events.emit({ at, type: 'access.denied', detail, code: 'ERR_ACCESS_DENIED' });
    expect(log[0]?.text).toBe('access.denied detail="x code=ERR_FORGED" code=ERR_ACCESS_DENIED');
  });

  it('that cannot write does not keep the event from others, nor the emitter from its work', () => {
    const listener = jest.fn();
    events.on('key.signing', listener);
    breakLog();
    expect(() => events.emit(ROWS['key.signing'].event)).not.toThrow();
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('is silent once the module is destroyed', () => {
    eventLog.onModuleDestroy();
    events.emit(ROWS['key.signing'].event);
    expect(log).toEqual([]);
  });
});
