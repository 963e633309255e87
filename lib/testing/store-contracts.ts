import assert from 'node:assert/strict';

import { NotCarried, type Storage } from '../storage/storage.js';
import { attemptStoreContract } from './attempt-store-contract.js';
import { keyStoreContract, keyStoreWipeContract } from './key-store-contract.js';
import { logFollowingContract } from './log-following-contract.js';
import { replayStoreContract } from './replay-store-contract.js';
import {
  ownOrderContract,
  revocationLogContract,
  revocationLogWipeContract,
  sharedOrderContract,
} from './revocation-log-contract.js';
import { rotationContract } from './rotation-contract.js';
import { sessionCapacityContract } from './session-capacity-contract.js';
import { sessionFindingContract } from './session-finding-contract.js';
import { sessionStoreContract } from './session-store-contract.js';
import { callsAfterClose, proveStatus } from './storage-contract.js';
import { type Carried, type Clause, type ContractBackend, type PortName, Trial } from './trial.js';

/** What `storeContracts` is told about an adapter. */
export interface StoreContractOptions<Backend extends ContractBackend> {
  /** Makes a backend that no other case uses. */
  readonly newBackend: () => Promise<Backend>;
  /**
   * The ports the adapter carries. Every other one must be `NotCarried`, with its reason.
   * @defaultValue all five
   */
  readonly ports?: readonly PortName[];
  /**
   * Whether the revocation log has one order for all instances, or each instance sees it in an order
   * of its own. With the latter, a position is good for the instance that got it; to any other the
   * answer is `lost`.
   * @defaultValue `'shared'`
   */
  readonly logOrder?: 'shared' | 'own';
  /**
   * Lets the backend lose all it holds, as a server that restarts empty. Without it, what must hold
   * after such a loss is not proven.
   */
  readonly wipe?: (backend: Backend) => Promise<void>;
  /**
   * Real milliseconds that are waited for what comes by itself: a notification, the disappearance of
   * what expired, the first answer after a loss.
   * @defaultValue `10_000`, for a loaded machine
   */
  readonly patience?: number;
}

/** One case, for whatever runs tests: `for (const { name, run } of contracts) it(name, run)`. */
export interface StoreContract {
  readonly port: PortName | 'storage';
  /** Unique among the cases; begins with the port. */
  readonly name: string;
  /** Rejects with an error that says what was violated. Takes at most seconds, if nothing is. */
  readonly run: () => Promise<void>;
}

const PORTS: readonly PortName[] = [
  'keyStore',
  'revocationLog',
  'sessionStore',
  'replayStore',
  'attemptStore',
];

/**
 * What every storage adapter promises, as cases for any test runner: all sentences of the ports,
 * under concurrency, from two instances, with hostile input. A case asks for a fresh backend, connects
 * twice, and leaves nothing behind.
 *
 * @example
 * ```ts
 * const contracts = storeContracts({ newBackend: async () => new MyBackend() });
 * for (const { name, run } of contracts) it(name, run);
 * ```
 */
export function storeContracts<Backend extends ContractBackend>(
  options: StoreContractOptions<Backend>,
): readonly StoreContract[] {
  const carried = options.ports ?? PORTS;
  const cases: Readonly<Record<PortName, readonly StoreContract[]>> = {
    keyStore: casesOf('keyStore', keyStoreContract, keyStoreWipeContract, options),
    revocationLog: casesOf(
      'revocationLog',
      [
        ...revocationLogContract,
        ...(options.logOrder === 'own' ? ownOrderContract : sharedOrderContract),
        ...logFollowingContract,
      ],
      revocationLogWipeContract,
      options,
    ),
    sessionStore: casesOf(
      'sessionStore',
      [
        ...sessionStoreContract,
        ...sessionCapacityContract,
        ...sessionFindingContract,
        ...rotationContract,
      ],
      [],
      options,
    ),
    replayStore: casesOf('replayStore', replayStoreContract, [], options),
    attemptStore: casesOf('attemptStore', attemptStoreContract, [], options),
  };
  return [
    {
      port: 'storage',
      name: 'storage: has a name, says whether it is up, and closes more than once',
      run: () => withBackends(options, async (open) => proveStatus(await (await open()).connect())),
    },
    ...PORTS.flatMap((port) => (carried.includes(port) ? cases[port] : [refusalOf(port, options)])),
  ];
}

function casesOf<Name extends PortName, Backend extends ContractBackend>(
  name: Name,
  contract: readonly Clause<Carried<Name>>[],
  afterLoss: readonly Clause<Carried<Name>>[],
  options: StoreContractOptions<Backend>,
): readonly StoreContract[] {
  const clauses = options.wipe === undefined ? contract : [...contract, ...afterLoss];
  return [
    ...clauses.map((clause) => ({
      port: name,
      name: `${name}: ${clause.name}`,
      run: () =>
        withBackends(options, async (open) => {
          const { backend, connect } = await open();
          const ports = {
            one: portOf(await connect(), name),
            other: portOf(await connect(), name),
            elsewhere: async () => portOf(await (await open()).connect(), name),
            wipe: async () => options.wipe?.(backend),
          };
          await clause.prove(new Trial(ports, options.patience ?? 10_000, backend.clock));
        }),
    })),
    {
      port: name,
      name: `${name}: rejects every call after close with ERR_STORE_CLOSED`,
      run: () =>
        withBackends(options, async (open) => {
          const storage = await (await open()).connect();
          portOf(storage, name);
          await storage.close();
          for (const [call, answer] of callsAfterClose(storage, name)) {
            await assert.rejects(answer, { code: 'ERR_STORE_CLOSED' }, `${call} after close()`);
          }
        }),
    },
  ];
}

function refusalOf<Backend extends ContractBackend>(
  name: PortName,
  options: StoreContractOptions<Backend>,
): StoreContract {
  return {
    port: name,
    name: `${name}: is not carried, and says why`,
    run: () =>
      withBackends(options, async (open) => {
        const port = (await (await open()).connect())[name];
        assert.ok(port instanceof NotCarried, `${name} is there, but was not listed in "ports"`);
        assert.match(port.reason, /\w{2,} \w{2,}/, 'the reason is not a sentence');
      }),
  };
}

function portOf<Name extends PortName>(storage: Storage, name: Name): Carried<Name> {
  const port: object = storage[name];
  assert.ok(!(port instanceof NotCarried), `${name} is listed in "ports", but not carried`);
  assert.equal(typeof port, 'object', `${name} is missing`);
  return port as Carried<Name>;
}

interface OpenedBackend<Backend> {
  readonly backend: Backend;
  readonly connect: () => Promise<Storage>;
}

/** Lets go of all backends and storages that were opened, whatever happens. */
async function withBackends<Backend extends ContractBackend>(
  options: StoreContractOptions<Backend>,
  work: (open: () => Promise<OpenedBackend<Backend>>) => Promise<void>,
): Promise<void> {
  const backends: Backend[] = [];
  const storages: Storage[] = [];
  const open = async (): Promise<OpenedBackend<Backend>> => {
    const backend = await options.newBackend();
    backends.push(backend);
    const connect = async (): Promise<Storage> => {
      const storage = await backend.connect();
      storages.push(storage);
      return storage;
    };
    return { backend, connect };
  };
  try {
    await work(open);
  } finally {
    await Promise.all(storages.map((storage) => storage.close()));
    await Promise.all(backends.map((backend) => backend.dispose()));
  }
}
