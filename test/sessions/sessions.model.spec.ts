import * as fc from 'fast-check';

import type { TokenPair } from '../../lib/sessions/session.js';
import { closeRooms, HOUR, openRoom, SECOND, type SessionRoom } from './session-room.js';

const GRACE = 10 * SECOND;
const IDLE = HOUR;
const ABSOLUTE = 3 * HOUR;

/** What can happen; `which` chooses among all refresh tokens that were ever given out. */
type Step =
  | { readonly kind: 'refresh'; readonly which: number }
  | { readonly kind: 'newest' }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'endAll' };

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.constant<Step>({ kind: 'newest' }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('refresh' as const), which: fc.nat(20) }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('pass' as const),
        ms: fc.oneof(
          fc.integer({ min: 1, max: 2 * GRACE }),
          fc.integer({ min: 1, max: HOUR }),
          fc.constantFrom(GRACE - 1, GRACE, IDLE - 1, IDLE),
        ),
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'end' }, { kind: 'endAll' }) },
  ),
  { minLength: 5, maxLength: 25 },
);

/** What a session is, in as few words as possible. */
class Model {
  readonly tokens: string[];
  private alive = true;
  private rotatedAt = -Infinity;
  private usedAt: number;
  private readonly endsAt: number;

  constructor(first: string, now: number) {
    this.tokens = [first];
    this.usedAt = now;
    this.endsAt = now + ABSOLUTE;
  }

  /** What follows a token: a new one, the current one again, or nothing. */
  judge(which: number, now: number): 'new' | 'current' | 'refused' {
    const current = this.tokens.length - 1;
    // Of less than a second nobody gets a token, and nothing is used up.
    if (!this.livesAt(now) || this.endsAt - now < SECOND) return 'refused';
    if (which === current) {
      this.rotatedAt = now;
      this.usedAt = now;
      return 'new';
    }
    if (which === current - 1 && now - this.rotatedAt < GRACE) return 'current';
    this.alive = false;
    return 'refused';
  }

  end(): void {
    this.alive = false;
  }

  livesAt(now: number): boolean {
    return this.alive && now < this.usedAt + IDLE && now < this.endsAt;
  }
}

function nameOf(token: string, known: readonly string[]): 'new' | 'current' | 'former' {
  if (!known.includes(token)) return 'new';
  return token === known.at(-1) ? 'current' : 'former';
}

afterAll(closeRooms);

it('whatever happens, at most one line of refresh tokens goes on, and only while it may', async () => {
  const room: SessionRoom = await openRoom({
    sessions: { reuseGrace: '10s', idleFor: '1h', absoluteFor: '3h' },
  });
  await fc.assert(
    fc.asyncProperty(steps, async (happening) => {
      let last: TokenPair = await room.start();
      const model = new Model(last.refreshToken, room.clock.now());
      const { tokens } = model;
      const expected: string[] = [];
      const answered: string[] = [];
      for (const step of happening) {
        if (step.kind === 'pass') room.clock.advance(step.ms);
        else if (step.kind === 'end' || step.kind === 'endAll') {
          await (step.kind === 'end'
            ? room.sessions.end(last.sessionId)
            : room.sessions.endAll('alice'));
          model.end();
        } else {
          const which = step.kind === 'newest' ? tokens.length - 1 : step.which % tokens.length;
          expected.push(model.judge(which, room.clock.now()));
          const shown = { ...last, refreshToken: tokens[which] ?? '' };
          const answer = await room.refresh(shown).catch(() => undefined);
          answered.push(answer === undefined ? 'refused' : nameOf(answer.refreshToken, tokens));
          last = answer ?? last;
          if (answered.at(-1) === 'new') tokens.push(last.refreshToken);
          if (answer !== undefined && (await room.verdict(answer)) !== 'accepted') {
            answered.push('an access token that is none');
          }
        }
      }
      expect(answered).toEqual(expected);
      const listed = await room.sessions.list('alice');
      const lives = model.livesAt(room.clock.now());
      expect(listed.some(({ sessionId }) => sessionId === last.sessionId)).toBe(lives);
      await room.sessions.endAll('alice');
      expect(await room.verdict(last)).not.toBe('accepted');
    }),
    { numRuns: 150 },
  );
});
