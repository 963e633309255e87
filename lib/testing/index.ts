/**
 * For tests of applications and of storage adapters of their own: what `nest-jwt-hardening/testing`
 * exports. Needs no test runner in particular.
 */
export { storeContracts } from './store-contracts.js';

export type { StoreContract, StoreContractOptions } from './store-contracts.js';
export type { ContractBackend, ContractClock, PortName } from './trial.js';
