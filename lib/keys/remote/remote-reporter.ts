import type { SkippedKey } from './jwks-document.js';
import type { VerificationKey } from '../key-material.js';
import type { RemoteJwksIncident, RemoteJwksIncidentFields } from './remote-incident.js';

type Keys = ReadonlyMap<string, VerificationKey>;

/** Tells what happens to the JWKS of one issuer, each thing once. Never throws. */
export class RemoteReporter {
  readonly #issuer: string;
  readonly #sink: (incident: RemoteJwksIncident) => void;
  /** What was left out of the last document. */
  #skipped: ReadonlySet<string> = new Set();

  constructor(issuer: string, sink: (incident: RemoteJwksIncident) => void) {
    this.#issuer = issuer;
    this.#sink = sink;
  }

  refreshFailed(fields: RemoteJwksIncidentFields['refresh-failed']): void {
    this.#tell({ type: 'refresh-failed', issuer: this.#issuer, ...fields });
  }

  pinMismatch(fields: RemoteJwksIncidentFields['pin-mismatch']): void {
    this.#tell({ type: 'pin-mismatch', issuer: this.#issuer, ...fields });
  }

  recovered(failures: number): void {
    this.#tell({ type: 'recovered', issuer: this.#issuer, severity: 'info', failures });
  }

  /** Those that were not left out of the last document as well. */
  skipped(keys: readonly SkippedKey[]): void {
    const reported = new Set<string>();
    for (const { kid, fault } of keys) {
      const id = `${fault} ${kid ?? ''}`;
      if (!this.#skipped.has(id) && !reported.has(id)) this.#tellSkipped({ kid, fault });
      reported.add(id);
    }
    this.#skipped = reported;
  }

  changed(before: Keys, after: Keys): void {
    const kids = [...after.keys()];
    const added = kids.filter((kid) => !before.has(kid));
    const replaced = kids.filter((kid) => before.has(kid) && before.get(kid) !== after.get(kid));
    const removed = [...before.keys()].filter((kid) => !after.has(kid));
    if (added.length + removed.length + replaced.length === 0) return;
    const changes = { added, removed, replaced };
    this.#tell({ type: 'keys-changed', issuer: this.#issuer, severity: 'info', ...changes });
  }

  #tellSkipped({ kid, fault }: SkippedKey): void {
    const issuer = this.#issuer;
    if (fault === 'symmetric' || fault === 'private') {
      this.#tell({ type: 'secret-published', issuer, severity: 'critical', kid, fault });
    } else {
      this.#tell({ type: 'key-skipped', issuer, severity: 'warning', kid, fault });
    }
  }

  #tell(incident: RemoteJwksIncident): void {
    try {
      this.#sink(incident);
    } catch {
      // What hears of it decides nothing: least of all that keys are not refreshed.
    }
  }
}
