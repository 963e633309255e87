/** What a page knows of its device. Declared here: the rest of the package has no DOM. */
export interface Device {
  readonly navigator?: {
    readonly platform?: string;
    readonly hardwareConcurrency?: number;
    /** Only in some browsers. */
    readonly deviceMemory?: number;
  };
  readonly crypto?: {
    readonly subtle?: { digest(algorithm: string, data: Uint8Array): Promise<ArrayBuffer> };
  };
}

/**
 * One SHA-256 digest, in base64url, of what stays the same on this device and differs on another: its
 * time zone, platform, processors and memory. The server learns the digest alone.
 *
 * Nothing that an honest user changes: a laptop has another screen at the office, and languages are in
 * a header of their own already. No canvas, no fonts, nothing that could tell one person from all.
 * @returns an empty text where the page is not secure, and so has no digests
 */
export function browserSignals(): Promise<string> {
  return signalsOf(globalThis as Device);
}

/** @internal */
export async function signalsOf({ navigator = {}, crypto }: Device): Promise<string> {
  const { platform, hardwareConcurrency, deviceMemory } = navigator;
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const traits = [timeZone, platform, hardwareConcurrency, deviceMemory];
  const text = new TextEncoder().encode(JSON.stringify(traits));
  const digest = await crypto?.subtle?.digest('SHA-256', text);
  return digest === undefined ? '' : base64url(new Uint8Array(digest));
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
