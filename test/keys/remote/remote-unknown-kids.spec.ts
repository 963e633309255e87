import { UnknownKids } from '../../../lib/keys/remote/remote-unknown-kids.js';

const COOLDOWN = 30_000;

let kids: UnknownKids;

beforeEach(() => {
  kids = new UnknownKids(COOLDOWN);
});

/** Asks once per cooldown for a long time; the numbers of the cooldowns in which a look was made. */
function looks(kid: string, cooldowns: number, isThere: (at: number) => boolean): number[] {
  return Array.from({ length: cooldowns }, (_, index) => index).filter((index) => {
    const now = index * COOLDOWN;
    const looked = kids.claimLook(kid, now);
    if (looked && !isThere(now)) kids.noteMissing(kid, now);
    return looked;
  });
}

describe('UnknownKids', () => {
  it('looks once per cooldown, for whoever comes first', () => {
    const claims = Array.from({ length: 500 }, (_, index) => kids.claimLook(`k${index}`, index));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(kids.claimLook('late', COOLDOWN - 1)).toBe(false);
    expect(kids.claimLook('late', COOLDOWN)).toBe(true);
  });

  it('looks for one that never comes less and less, and goes on', () => {
    expect(looks('gone', 64, () => false)).toEqual([0, 1, 3, 7, 15, 31, 47, 63]);
  });

  it('leaves the next look to a new kid, where one that is known not to exist keeps coming', () => {
    expect(kids.claimLook('gone', 0)).toBe(true);
    kids.noteMissing('gone', 0);
    expect(kids.claimLook('gone', COOLDOWN)).toBe(true);
    kids.noteMissing('gone', COOLDOWN);
    expect(kids.claimLook('gone', 2 * COOLDOWN)).toBe(false);
    expect(kids.claimLook('new', 2 * COOLDOWN)).toBe(true);
  });

  it('counts the many that waited for one look as one miss', () => {
    kids.claimLook('gone', 0);
    for (let waiting = 0; waiting < 500; waiting++) kids.noteMissing('gone', 0);
    expect(kids.claimLook('gone', COOLDOWN)).toBe(true);
  });

  it('forgets that a kid was missing once it was found', () => {
    for (const cooldown of [0, 1, 3]) {
      kids.claimLook('late', cooldown * COOLDOWN);
      kids.noteMissing('late', cooldown * COOLDOWN);
    }
    expect(kids.claimLook('late', 4 * COOLDOWN)).toBe(false);
    kids.noteFound('late');
    expect(kids.claimLook('late', 4 * COOLDOWN)).toBe(true);
  });

  it('remembers a bounded number of them', () => {
    kids.noteMissing('first', 0);
    for (let index = 0; index < 5_000; index++) kids.noteMissing(`k${index}`, 0);
    // The oldest made room; the newest are still known.
    expect(kids.claimLook('k4999', 1)).toBe(false);
    expect(kids.claimLook('first', 1)).toBe(true);
  });
});
