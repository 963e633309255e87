import {
  SubjectDirectory,
  type SubjectReference,
  type SubjectStanding,
} from '../../../lib/revocation/subject-directory.js';

/** A users table that says how often it was read, and answers when a test lets it. */
export class CountedUsers extends SubjectDirectory {
  readonly rows = new Map<string, SubjectStanding>();
  reads = 0;
  trouble: 'none' | 'rejects' | 'rejects with nothing' | 'hangs' | 'answers nonsense' = 'none';
  /** Reads that saw the table already, and wait here for their answer to leave. */
  readonly held: (() => void)[] = [];
  holds = false;

  async find({ subject }: SubjectReference): Promise<SubjectStanding | null> {
    this.reads++;
    const row = this.rows.get(subject) ?? null;
    if (this.holds) await new Promise<void>((resolve) => void this.held.push(resolve));
    if (this.trouble === 'rejects') throw new Error('connect ECONNREFUSED');
    if (this.trouble === 'rejects with nothing') await Promise.reject(undefined);
    if (this.trouble === 'hangs') await new Promise(() => {});
    if (this.trouble === 'answers nonsense') return {} as SubjectStanding;
    return row;
  }

  set(subject: string, standing: SubjectStanding): void {
    this.rows.set(subject, standing);
  }

  /** Lets go of the read that has waited longest. */
  release(): void {
    this.held.shift()?.();
  }
}
