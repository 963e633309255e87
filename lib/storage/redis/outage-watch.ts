import type { Clock } from '../../kernel/clock.js';
import { Circuit } from './circuit.js';
import { hashTagOf, slotOf } from './cluster-slot.js';
import { isCluster, type RedisClient } from './redis-clients.js';
import { failureOf } from './redis-failure.js';
import type { RedisKeys } from './redis-keys.js';
import type { StoreHealth } from './store-health.js';

const TICK = 250;
/** A quiet connection is probed this often, so that an outage nobody ran into is known too. */
const PROBE_WHEN_QUIET_FOR = 1_000;
/** Probes of a quiet Cluster go to this many places in turn. */
const QUIET_PLACES = 16;
/** A connection that is away for so long is an outage, not a blink. */
const MISSING_AFTER = 1_000;
/** A probe unanswered for so long: the connection leads nowhere, another is made. */
const DEAD_AFTER = 1_000;
/** A handshake under way for so long leads nowhere either. */
const STUCK_AFTER = 3_000;

/** A Cluster is asked so often where its slots are, should no redirection tell. */
const REFRESH_SLOTS_EVERY = 2_000;

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
  readonly #circuits = new Map<string, Circuit>();
  /** Which circuits are being probed, with what, and since when. */
  readonly #probes = new Map<Circuit, { readonly key: string; readonly since: number }>();
  #ticker: NodeJS.Timeout | undefined;
  #missingSince: number | undefined;
  #wasReady = false;
  #status = '';
  #statusSince = 0;
  #lastCall = 0;
  #quietProbes = 0;
  #slotsRefreshedAt = 0;

  constructor(
    client: RedisClient,
    { deadline, connectTimeout }: { readonly deadline: number; readonly connectTimeout: number },
    keys: RedisKeys,
    health: StoreHealth,
    clock: Clock,
  ) {
    this.#client = client;
    this.#deadline = deadline;
    this.#connectTimeout = connectTimeout;
    this.#keys = keys;
    this.#health = health;
    this.#clock = clock;
  }

  /** Connects, and watches from here on. Again: nothing. */
  start(): void {
    if (this.#ticker !== undefined) return;
    this.#ticker = setInterval(() => this.#tick(), TICK).unref();
    this.#lastCall = this.#clock.now();
    connect(this.#client);
  }

  stop(): void {
    clearInterval(this.#ticker);
  }

  /** Why a call about this key has no prospect; `undefined` if it may be tried. */
  outageFor(key: string): string | undefined {
    return this.#circuit(WHOLE).outage ?? this.#circuit(this.#placeOf(key)).outage;
  }

  noteAnswer(key: string): void {
    this.#lastCall = this.#clock.now();
    this.#circuit(this.#placeOf(key)).succeed();
    this.#health.reportAnswer();
  }

  noteFailure(key: string, detail: string): void {
    this.#lastCall = this.#clock.now();
    const circuit = this.#circuit(this.#placeOf(key));
    circuit.fail(detail, this.#keys.probe(hashTagOf(key)));
    this.#report(circuit);
  }

  #tick(): void {
    const now = this.#clock.now();
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
    if (now - this.#lastCall >= PROBE_WHEN_QUIET_FOR) {
      this.#lastCall = now;
      const key = this.#keys.probe(String(this.#quietProbes++ % QUIET_PLACES));
      this.#probe(this.#circuit(this.#placeOf(key)), key);
    }
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
    const probe = { key, since: this.#clock.now() };
    this.#probes.set(circuit, probe);
    const settle = (failure: string | undefined): void => {
      // An answer on a connection that was given up says nothing of the one there is now.
      if (this.#probes.get(circuit) !== probe) return;
      this.#probes.delete(circuit);
      const isLate = this.#clock.now() - probe.since > this.#deadline;
      if (failure !== undefined || isLate) {
        circuit.fail(failure ?? 'too slow', key);
      } else {
        circuit.close();
        this.#health.reportAnswer();
      }
      this.#report(circuit);
    };
    this.#client.set(key, '1', 'PX', 1_000).then(
      () => settle(undefined),
      (error: unknown) => {
        const { detail, isOutage } = failureOf(error, 'a probe');
        settle(isOutage ? detail : undefined);
      },
    );
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
