/** How strongly users of the bank authenticate, as tokens say it in `acr`. */
export const ACR = {
  /** By a password. */
  password: 'urn:ledger:acr:pwd',
  /** By a password and a code of an authenticator app. */
  mfa: 'urn:ledger:acr:mfa',
} as const;
