import { readIncident } from '../../lib/emergency/incident.js';

const NOW = Date.UTC(2026, 10, 22);

describe('readIncident', () => {
  it.each<[incident: Record<string, unknown>]>([
    [{ kind: 'leakedKey', kid: 'key-1' }],
    [{ kind: 'leakedKey', kid: 'A'.repeat(128), reference: 'INC-2026.11_22' }],
    [{ kind: 'stolenAccount', sub: 'user-1' }],
    [{ kind: 'stolenAccount', sub: 'ü'.repeat(255), reference: 'x'.repeat(64) }],
    [{ kind: 'badDeployment', before: new Date(NOW) }],
    [{ kind: 'badDeployment', before: new Date(0), reference: 'x' }],
    [{ kind: 'everything' }],
    [{ kind: 'everything', reference: '1' }],
    [{ kind: 'everything', reference: undefined }],
  ])('takes %j', (incident) => {
    const read = readIncident(incident, NOW);
    expect(read).toEqual(incident);
    expect(Object.isFrozen(read)).toBe(true);
  });

  it('makes a copy, so that what is done is what was asked for', () => {
    const before = new Date(NOW - 1_000);
    const asked = { kind: 'badDeployment', before };
    const read = readIncident(asked, NOW);
    before.setTime(0);
    asked.kind = 'everything';
    expect(read).toEqual({ kind: 'badDeployment', before: new Date(NOW - 1_000) });
  });

  it.each<[what: string, incident: unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'everything'],
    ['a list', ['everything']],
    ['no kind', { kid: 'key-1' }],
    ['another kind', { kind: 'boredom' }],
    ['a kind of the runtime', { kind: 'constructor' }],
    ['a kind of the prototype', { kind: '__proto__' }],
    ['a kind that is a list', { kind: ['everything'] }],
    ['an inherited kind', Object.create({ kind: 'everything' })],
    ['no kid', { kind: 'leakedKey' }],
    ['an empty kid', { kind: 'leakedKey', kid: '' }],
    ['a kid that is no text', { kind: 'leakedKey', kid: 1 }],
    ['a long kid', { kind: 'leakedKey', kid: 'A'.repeat(129) }],
    ['a kid with a line break', { kind: 'leakedKey', kid: 'key-1\n' }],
    ['no sub', { kind: 'stolenAccount' }],
    ['an empty sub', { kind: 'stolenAccount', sub: '' }],
    ['a blank sub', { kind: 'stolenAccount', sub: ' ' }],
    ['a sub with a NUL', { kind: 'stolenAccount', sub: 'user-1\0' }],
    ['a long sub', { kind: 'stolenAccount', sub: 'u'.repeat(256) }],
    ['a sub that is no text', { kind: 'stolenAccount', sub: ['user-1'] }],
    ['no instant', { kind: 'badDeployment' }],
    ['an instant that is text', { kind: 'badDeployment', before: '2026-11-21' }],
    ['an instant that is a number', { kind: 'badDeployment', before: NOW - 1 }],
    ['an instant that is none', { kind: 'badDeployment', before: new Date(NaN) }],
    ['an instant to come', { kind: 'badDeployment', before: new Date(NOW + 1) }],
    ['an instant before all', { kind: 'badDeployment', before: new Date(-1) }],
    ['a member of another kind', { kind: 'everything', sub: 'user-1' }],
    ['a misspelled member', { kind: 'badDeployment', before: new Date(0), refrence: 'x' }],
    ['an empty reference', { kind: 'everything', reference: '' }],
    ['a long reference', { kind: 'everything', reference: 'x'.repeat(65) }],
    ['a reference that is a mail address', { kind: 'everything', reference: 'a@b.example' }],
    ['a reference with a line break', { kind: 'everything', reference: 'x\nforged=1' }],
    ['a reference that is a number', { kind: 'everything', reference: 4711 }],
    ['a reference that is null', { kind: 'everything', reference: null }],
  ])('refuses %s, without repeating it', (_what, incident) => {
    const call = (): unknown => readIncident(incident, NOW);
    expect(call).toThrow(TypeError);
    expect(call).not.toThrow(/user-1|key-1|a@b|forged|boredom/);
  });
});
