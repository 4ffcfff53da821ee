import { FormatRegistry, Type } from '@sinclair/typebox'
import { SECOND_FACTOR_POLICIES } from '../factors/policy.ts'
import { integer, oneOf, type SettingOptions, text } from './setting-types.ts'

// WebAuthn §5.1.2. Android apps send the hash of their signing key as their origin.
const ANDROID = /^android:apk-key-hash:[\w-]{43}$/
FormatRegistry.Set('passkey-origin', text =>
  ANDROID.test(text) || (URL.canParse(text) && new URL(text).origin === text && /^https?:/.test(text)))
FormatRegistry.Set('rp-id', text => URL.canParse(`https://${text}`) && new URL(`https://${text}`).hostname === text)

/**
 * What is missing among the settings of second factors. Users who must have one could otherwise sign in and do nothing.
 * @param env name to text
 */
export function factorFaults (env: Record<string, string | undefined>): string[] {
  const { SECOND_FACTOR, ENCRYPTION_KEYS, PUBLIC_URL, PASSKEY_RP_ID, PASSKEY_ORIGINS } = env
  const isPartial = !PUBLIC_URL && Boolean(PASSKEY_RP_ID) !== Boolean(PASSKEY_ORIGINS)
  const isOffered = ENCRYPTION_KEYS || PUBLIC_URL || PASSKEY_RP_ID
  return [
    ...isPartial ? ['PASSKEY_RP_ID and PASSKEY_ORIGINS must be set together, or PUBLIC_URL'] : [],
    ...SECOND_FACTOR && SECOND_FACTOR !== 'optional' && !isOffered
      ? [`ENCRYPTION_KEYS or PASSKEY_RP_ID must be set if SECOND_FACTOR is ${SECOND_FACTOR}`]
      : []
  ]
}

/** The settings of second factors and passkeys. */
export const factorSettings = {
  SECOND_FACTOR: oneOf(SECOND_FACTOR_POLICIES, {
    description: 'Who must have a second factor: nobody, users with the role admin, or every user. A session of such a ' +
      'user without one can only set one up. See second-factors.md.',
    default: 'optional'
  }),
  PASSKEY_RP_ID: Type.Optional(text({
    description: 'Domain that passkeys are bound to (WebAuthn RP ID): the one of the pages, or a parent of it. Changing it ' +
      'makes every passkey unusable.',
    expected: 'a domain such as example.com',
    format: 'rp-id',
    defaultText: 'the host of PUBLIC_URL'
  })),
  PASSKEY_ORIGINS: Type.Array(Type.String({ format: 'passkey-origin' }), {
    description: 'Origins of the pages and apps on which passkeys are used.',
    expected: 'a comma-separated list of origins such as https://app.example.com (no path) or ' +
      'android:apk-key-hash:HASH',
    default: [],
    defaultText: 'the origin of PUBLIC_URL'
  } satisfies SettingOptions),
  MAX_PASSKEYS: integer(1, 100, 20, 'Maximum number of passkeys per user.')
}
