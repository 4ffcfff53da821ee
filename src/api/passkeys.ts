import { type Static, Type } from '@sinclair/typebox'

// What WebAuthn sends and receives as JSON (WebAuthn Level 3 §5.1). Browsers return more fields than these, and future
// ones will add some, so that unknown fields of the two responses are ignored.

const Bytes = (maxLength: number) => Type.String({
  pattern: '^[\\w-]+$',
  maxLength,
  description: 'base64url',
  examples: ['kWq5cJxkWn1dT6d2mYb0S6r2m6n3v8qk3w0bq9Zc1fY']
})

/** A WebAuthn id: at most 1023 bytes (§4). */
const PasskeyId = Bytes(1364)

const PublicKey = Type.Literal('public-key', { examples: ['public-key'] })

const Transport = Type.String({ pattern: '^[a-z-]{1,32}$', maxLength: 32, examples: ['internal'] })

const common = {
  id: PasskeyId,
  rawId: PasskeyId,
  type: PublicKey
}

/** What `navigator.credentials.create()` returns. */
export const Registration = Type.Object({
  ...common,
  response: Type.Object({
    clientDataJSON: Bytes(4096),
    attestationObject: Bytes(12_288),
    transports: Type.Optional(Type.Array(Transport, { maxItems: 16 }))
  }),
  clientExtensionResults: Type.Optional(Type.Object({
    credProps: Type.Optional(Type.Object({ rk: Type.Optional(Type.Boolean()) }))
  }))
}, { description: 'what navigator.credentials.create() returned, as JSON' })

export type RegistrationResponse = Static<typeof Registration>

/** What `navigator.credentials.get()` returns. */
export const Assertion = Type.Object({
  ...common,
  response: Type.Object({
    clientDataJSON: Bytes(4096),
    authenticatorData: Bytes(4096),
    signature: Bytes(4096),
    userHandle: Type.Optional(Type.Union([Bytes(128), Type.Null()]))
  })
}, { description: 'what navigator.credentials.get() returned, as JSON' })

export type AssertionResponse = Static<typeof Assertion>

const Required = Type.Literal('required', { examples: ['required'] })

const Timeout = Type.Integer({ minimum: 1, maximum: 3_600_000, examples: [300_000], description: 'milliseconds' })

const Domain = Type.String({ maxLength: 253, examples: ['example.com'] })

const Name = Type.String({ maxLength: 64, examples: ['alice'] })

/** The argument of `navigator.credentials.create()`, as JSON. */
export const CreationOptions = Type.Object({
  challenge: Bytes(43),
  rp: Type.Object({ id: Domain, name: Name }),
  user: Type.Object({ id: Bytes(43), name: Name, displayName: Name }),
  pubKeyCredParams: Type.Array(Type.Object({
    type: PublicKey,
    alg: Type.Integer({ minimum: -65535, maximum: 0, examples: [-7] })
  }), { maxItems: 8 }),
  timeout: Timeout,
  excludeCredentials: Type.Array(Type.Object({
    type: PublicKey,
    id: PasskeyId,
    transports: Type.Array(Transport, { maxItems: 16 })
  }), { maxItems: 100 }),
  authenticatorSelection: Type.Object({
    residentKey: Required,
    requireResidentKey: Type.Literal(true, { examples: [true] }),
    userVerification: Required
  }),
  attestation: Type.Literal('none', { examples: ['none'] }),
  extensions: Type.Object({ credProps: Type.Literal(true, { examples: [true] }) })
})

/** The argument of `navigator.credentials.get()`, as JSON. It lists no passkeys: the device offers those it has. */
export const RequestOptions = Type.Object({
  challenge: Bytes(43),
  rpId: Domain,
  timeout: Timeout,
  userVerification: Required
})
