import type { Clock } from '../../kernel/clock.js';
import type { StoreHealth } from '../store-health.js';
import { Circuit } from './circuit.js';
import { hashTagOf, slotOf } from './cluster-slot.js';
import { isCluster, type RedisClient } from './redis-clients.js';
import { type Failure, failureOf, TooFewReplicas } from './redis-failure.js';
import type { RedisKeys } from './redis-keys.js';

const TICK = 250;
/**
 * Every place is probed this often, however much it answers: a server that was made a replica, or
 * lost its own, still answers reads, with what may be out of date.
 */
const PROBE_EVERY = 1_000;
/** What a probe proves, it proves for so long. */
const PROVEN_FOR = 2_000;
/** So many names of probes, spread over the slots, reach every node of a Cluster. */
const PROBE_NAMES = 256;
/** A connection that is away for so long is an outage, not a blink. */
const MISSING_AFTER = 1_000;
/** A probe unanswered for so long: the connection leads nowhere, another is made. */
const DEAD_AFTER = 1_000;
/** A handshake under way for so long leads nowhere either. */
const STUCK_AFTER = 3_000;

/** A Cluster is asked so often where its slots are, should no redirection tell. */
const REFRESH_SLOTS_EVERY = 2_000;

/** How many replicas must have a change before it counts, and how many milliseconds they have. */
export interface Replication {
  readonly replicas: number;
  readonly waitFor: number;
}

/** Lengths in milliseconds. */
export interface WatchLimits {
  readonly deadline: number;
  readonly connectTimeout: number;
  readonly replication: Replication | null;
}

/** Stands for the connection as a whole, beside the nodes of a Cluster by their names. */
const WHOLE = '';

/**
 * Knows which servers are of use: opens their circuits, probes those that are open until they
 * answer, and replaces connections that hang. Each node of a Cluster has a circuit of its own, so
 * that one lost node does not take the others along.
 */
export class OutageWatch {
  readonly #client: RedisClient;
  readonly #keys: RedisKeys;
  readonly #health: StoreHealth;
  readonly #clock: Clock;
  readonly #deadline: number;
  readonly #connectTimeout: number;
  readonly #replication: Replication | null;
  readonly #circuits = new Map<string, Circuit>();
  /** Which circuits are being probed, with what, and since when. */
  readonly #probes = new Map<Circuit, { readonly key: string; readonly since: number }>();
  #ticker: NodeJS.Timeout | undefined;
  #missingSince: number | undefined;
  #wasReady = false;
  #status = '';
  #statusSince = 0;
  #probedAt = -Infinity;
  #slotsRefreshedAt = -Infinity;

  constructor(
    client: RedisClient,
    { deadline, connectTimeout, replication }: WatchLimits,
    keys: RedisKeys,
    health: StoreHealth,
    clock: Clock,
  ) {
    this.#client = client;
    this.#deadline = deadline;
    this.#connectTimeout = connectTimeout;
    this.#replication = replication;
    this.#keys = keys;
    this.#health = health;
    this.#clock = clock;
  }

  /** Connects, and watches from here on. Again: nothing. */
  start(): void {
    if (this.#ticker !== undefined) return;
    this.#ticker = setInterval(() => this.#tick(), TICK).unref();
    connect(this.#client);
  }

  stop(): void {
    clearInterval(this.#ticker);
  }

  /** Why a call about this key has no prospect; `undefined` if it may be tried. */
  outageFor(key: string): string | undefined {
    return this.#circuit(WHOLE).outage ?? this.#circuit(this.#placeOf(key)).outage;
  }

  /**
   * Whether the server of this key took a write a moment ago, and is no replica of another; where
   * replicas were configured, whether as many of them took it as well.
   */
  isProven(key: string): boolean {
    const { outage, wroteAt } = this.#circuit(this.#placeOf(key));
    return outage === undefined && this.#elapsed() - wroteAt <= PROVEN_FOR;
  }

  noteAnswer(key: string): void {
    this.#circuit(this.#placeOf(key)).succeed();
    this.#health.reportAnswer();
  }

  noteFailure(key: string, { detail, isCertain }: Failure): void {
    const circuit = this.#circuit(this.#placeOf(key));
    const probeKey = this.#keys.probe(hashTagOf(key));
    if (isCertain) circuit.open(detail, probeKey);
    else circuit.fail(detail, probeKey);
    this.#report(circuit);
  }

  #tick(): void {
    const now = this.#elapsed();
    this.#watchConnection(now);
    if (this.#client.status !== 'ready') return;
    for (const circuit of this.#circuits.values()) {
      const probe = this.#probes.get(circuit);
      if (probe === undefined) {
        if (circuit.outage !== undefined) this.#probe(circuit, circuit.probeKey);
      } else if (now - probe.since > DEAD_AFTER) {
        this.#replaceConnection(circuit);
      }
    }
    if (isCluster(this.#client) && now - this.#slotsRefreshedAt >= REFRESH_SLOTS_EVERY) {
      this.#slotsRefreshedAt = now;
      this.#client.refreshSlotsCache();
    }
    // As often as the ticker allows: a tick that came early must not cost another.
    if (now - this.#probedAt >= PROBE_EVERY - TICK / 2) {
      this.#probedAt = now;
      this.#probeAll();
    }
  }

  #probeAll(): void {
    const places = new Map<Circuit, string>();
    const names = isCluster(this.#client) ? PROBE_NAMES : 1;
    for (let name = 0; name < names; name++) {
      const key = this.#keys.probe(String(name));
      const circuit = this.#circuit(this.#placeOf(key));
      if (!places.has(circuit)) places.set(circuit, key);
    }
    for (const [circuit, key] of places) this.#probe(circuit, key);
  }

  #watchConnection(now: number): void {
    const { status } = this.#client;
    if (status !== this.#status) {
      this.#status = status;
      this.#statusSince = now;
    }
    if (status === 'ready') {
      this.#wasReady = true;
      this.#missingSince = undefined;
      return;
    }
    this.#missingSince ??= now;
    const patience = this.#wasReady ? MISSING_AFTER : this.#connectTimeout;
    if (now - this.#missingSince > patience) {
      const circuit = this.#circuit(WHOLE);
      circuit.open('not connected', this.#keys.probe('0'));
      this.#report(circuit);
    }
    if (status === 'end') connect(this.#client);
    const isShakingHands = status === 'connecting' || status === 'connect';
    // A Cluster has time-outs of its own while it connects.
    if (isShakingHands && now - this.#statusSince > STUCK_AFTER && !isCluster(this.#client)) {
      this.#statusSince = now;
      this.#client.disconnect(true);
    }
  }

  /** A write, because a server that cannot write is of no use. */
  #probe(circuit: Circuit, key: string): void {
    if (this.#probes.has(circuit)) return;
    const probe = { key, since: this.#elapsed() };
    this.#probes.set(circuit, probe);
    const settle = (failure: Failure | undefined): void => {
      // An answer on a connection that was given up says nothing of the one there is now.
      if (this.#probes.get(circuit) !== probe) return;
      this.#probes.delete(circuit);
      const isLate = this.#elapsed() - probe.since > this.#deadline;
      if (failure?.isCertain === true) {
        circuit.open(failure.detail, key);
      } else if (failure !== undefined || isLate) {
        circuit.fail(failure?.detail ?? 'too slow', key);
      } else {
        circuit.close(probe.since);
        this.#health.reportAnswer();
      }
      this.#report(circuit);
    };
    this.#write(key).then(
      () => settle(undefined),
      (error: unknown) => {
        const failure = failureOf(error, 'a probe');
        settle(failure.isOutage ? failure : undefined);
      },
    );
  }

  /** As a change is written: also to as many replicas. */
  async #write(key: string): Promise<void> {
    if (this.#replication === null) {
      await this.#client.set(key, '1', 'PX', 1_000);
      return;
    }
    const { replicas, waitFor } = this.#replication;
    const pipeline = this.#client.pipeline().set(key, '1', 'PX', 1_000).wait(replicas, waitFor);
    for (const [error, reply] of (await pipeline.exec()) ?? []) {
      if (error !== null) throw error;
      if (typeof reply === 'number' && reply < replicas) throw new TooFewReplicas();
    }
  }

  #report(circuit: Circuit): void {
    if (circuit.outage === undefined) this.#health.reportUp(circuit);
    else this.#health.reportDown(circuit, circuit.outage);
  }

  #replaceConnection(circuit: Circuit): void {
    const { key } = this.#probes.get(circuit) ?? { key: circuit.probeKey };
    this.#probes.delete(circuit);
    circuit.open('no answer', key);
    this.#report(circuit);
    if (!isCluster(this.#client)) return this.#client.disconnect(true);
    for (const node of this.#client.nodes()) {
      if (this.#circuits.get(`${node.options.host}:${node.options.port}`) === circuit) {
        // ioredis makes another one as soon as a command needs it.
        node.disconnect();
      }
    }
  }

  /** Of no wall clock: one that is set back would make an old proof look new. */
  #elapsed(): number {
    return this.#clock.elapsed?.() ?? this.#clock.now();
  }

  #placeOf(key: string): string {
    return isCluster(this.#client) ? (this.#client.slots[slotOf(key)]?.[0] ?? WHOLE) : WHOLE;
  }

  #circuit(place: string): Circuit {
    let circuit = this.#circuits.get(place);
    if (circuit === undefined) {
      circuit = new Circuit();
      this.#circuits.set(place, circuit);
    }
    return circuit;
  }
}

function connect(client: RedisClient): void {
  // How it fails is seen by the state the client is in.
  client.connect().catch(() => {});
}
