import { closeRooms } from '../sessions/session-room.js';
import { verdictOf } from '../revocation/instances.js';
import { TestClock } from '../support/test-clock.js';
import { openStepUp } from './step-up-room.js';

/** What a step-up leaves of the sessions beside the new one, and how long that lasts. */

afterEach(closeRooms);

describe('a step-up of a user with as many sessions as there may be', () => {
  it.each([1, 2, 3])('takes the place of the oldest of %i', async (perSubject) => {
    const clock = new TestClock();
    const room = await openStepUp({ clock, options: { sessions: { perSubject } } });
    const oldest = await room.logIn();
    for (let others = 1; others < perSubject; others++) {
      clock.advance(1_000);
      await room.logIn();
    }
    clock.advance(1_000);
    expect(await verdictOf(room.stepUp.confirm(oldest.token, { acr: 'mfa' }))).toBe('accepted');
    expect(await room.sessions.list('alice')).toHaveLength(perSubject);
  });

  it('logs no other device out', async () => {
    const clock = new TestClock();
    const room = await openStepUp({ clock, options: { sessions: { perSubject: 2 } } });
    const other = await room.logIn();
    clock.advance(1_000);
    const mine = await room.logIn();
    await room.stepUp.confirm(mine.token, { acr: 'mfa' });
    expect(await room.refreshed(other.pair)).toBe('accepted');
  });
});

describe('the session of a step-up', () => {
  it('lasts no longer than one of the kind it replaces, on the same device', async () => {
    const room = await openStepUp();
    const { token, pair } = await room.logIn({
      absoluteFor: '1h',
      idleFor: '10m',
      device: 'Firefox on Linux',
    });
    const next = await room.stepUp.confirm(token, { acr: 'mfa' });
    expect(next.refreshExpiresIn).toBe(pair.refreshExpiresIn);
    expect(await room.sessions.list('alice')).toMatchObject([{ device: 'Firefox on Linux' }]);
  });
});

describe('a second factor that cannot be asked', () => {
  it('locks nobody out, and gives nobody more guesses', async () => {
    let isDown = true;
    const verify = async (): Promise<null> => {
      if (isDown) throw new Error('down');
      return null;
    };
    const room = await openStepUp({ clock: new TestClock(), secondFactor: { verify } });
    const guess = (): Promise<string> =>
      room.stepUp.verifyFactor({ subject: 'alice', code: '123456' }).then(
        ({ outcome }) => outcome,
        () => 'unanswered',
      );
    for (let times = 0; times < 20; times++) expect(await guess()).toBe('unanswered');
    isDown = false;
    const answers: string[] = [];
    for (let times = 0; times < 7; times++) answers.push(await guess());
    expect(answers).toEqual([...Array.from({ length: 5 }, () => 'refused'), 'limited', 'limited']);
  });
});
