import type { Config } from '../config/read-settings.ts'

/** The service as WebAuthn knows it. */
export interface RelyingParty {
  /** the domain that passkeys are bound to */
  id: string
  name: string
  /** the pages and apps on which they are used */
  origins: string[]
}

/**
 * Comes from the settings alone: a client can choose the headers of a request, such as Host.
 * @returns undefined if neither the settings of passkeys nor PUBLIC_URL are set
 */
export function relyingPartyOf (config: Config): RelyingParty | undefined {
  const { PASSKEY_RP_ID, PASSKEY_ORIGINS, PUBLIC_URL, PRODUCT_NAME: name } = config
  const url = PUBLIC_URL === undefined ? undefined : new URL(PUBLIC_URL)
  const id = PASSKEY_RP_ID ?? url?.hostname
  const origins = PASSKEY_ORIGINS.length > 0 || !url ? PASSKEY_ORIGINS : [url.origin]
  return id === undefined || origins.length === 0 ? undefined : { id, name, origins }
}
