import { AttemptStore } from '../../lib/abuse/attempt-store.js';
import { ReplayStore } from '../../lib/binding/replay-store.js';
import type { SecondFactor } from '../../lib/step-up/second-factor.js';
import { StepUpService } from '../../lib/step-up/step-up.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import type { TokenPair } from '../../lib/sessions/session.js';
import type { JwtHardeningOptions } from '../../lib/config/options.js';
import { openRoom, type SessionRoom } from '../sessions/session-room.js';
import { ISSUER } from '../support/guarded-app.js';
import { TestClock } from '../support/test-clock.js';
import { recordSecret } from '../support/witness.js';

/** A replay store that can be stopped in the middle of a claim, and counts what it was asked. */
export class WatchedReplays extends ReplayStore {
  claims = 0;
  /** Runs before each claim. */
  before: () => Promise<void> | void = () => {};

  constructor(private readonly inner: ReplayStore) {
    super();
  }

  override async claimOnce(claim: {
    readonly key: string;
    readonly expiresAt: number;
  }): Promise<boolean> {
    await this.before();
    this.claims++;
    return this.inner.claimOnce(claim);
  }
}

/** One instance of a service whose users step up, on a standing clock. */
export interface StepUpRoom extends SessionRoom {
  readonly stepUp: StepUpService;
  readonly replays: WatchedReplays;
  readonly attempts: AttemptStore;
  logIn(start?: Parameters<SessionRoom['start']>[0], subject?: string): Promise<LoggedIn>;
  verified(accessToken: string): Promise<VerifiedToken>;
  confirmation(token: VerifiedToken, action?: string): Promise<string>;
}

export interface LoggedIn {
  readonly pair: TokenPair;
  readonly token: VerifiedToken;
}

export interface StepUpRoomOptions {
  readonly options?: Partial<JwtHardeningOptions>;
  readonly clock?: TestClock;
  readonly secondFactor?: SecondFactor;
}

export async function openStepUp({
  options = {},
  clock = new TestClock(),
  secondFactor,
}: StepUpRoomOptions = {}): Promise<StepUpRoom> {
  const { storage = memoryStorage({ clock }) } = options;
  const room = await openRoom({ ...options, storage }, clock);
  const { replayStore, attemptStore } = storage;
  if (!(replayStore instanceof ReplayStore && attemptStore instanceof AttemptStore)) {
    throw new Error('the storage lacks a port');
  }
  const replays = new WatchedReplays(replayStore);
  const { tokens, sessions, revocations, events } = room;
  const stepUp = new StepUpService(
    { issuer: ISSUER, leeway: 10, confirmationFor: 120, secondFactor: secondFactor ?? null },
    { replays, attempts: attemptStore, tokens, sessions, revocations, clock, events },
  );
  const verified = (token: string): Promise<VerifiedToken> =>
    tokens.verify(token, { sender: 'checkedByCaller' });
  return {
    ...room,
    stepUp,
    replays,
    attempts: attemptStore,
    verified,
    logIn: async (start = {}, subject = 'alice') => {
      const pair = await room.start(start, subject);
      return { pair, token: await verified(pair.accessToken) };
    },
    confirmation: async (token, action = 'delete_account') => {
      const { confirmationToken } = await stepUp.issueConfirmation({ token, action });
      recordSecret(confirmationToken);
      return confirmationToken;
    },
  };
}
