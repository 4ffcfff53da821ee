import { generateKeyPairSync, sign } from 'node:crypto'

// X.509 (RFC 5280 §4.1) in DER: a tag, the length, and the content, which is bytes or further elements.
function der (tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content)
  const length = body.length < 128
    ? Buffer.from([body.length])
    : Buffer.from([0x82, body.length >> 8, body.length & 0xff])
  return Buffer.concat([Buffer.from([tag]), length, body])
}

const [BOOLEAN, INTEGER, BITS, OCTETS, OID, TEXT, SEQUENCE, SET, TIME] = [1, 2, 3, 4, 6, 12, 0x30, 0x31, 0x18]
const [VERSION, EXTENSIONS, DNS_NAME] = [0xa0, 0xa3, 0x82]

const sequence = (...content: Buffer[]) => der(SEQUENCE, ...content)
const bytes = (...values: number[]) => Buffer.from(values)
const time = (text: string) => der(TIME, Buffer.from(text))

const ECDSA_WITH_SHA256 = sequence(der(OID, bytes(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2)))
const COMMON_NAME = der(OID, bytes(0x55, 4, 3))
const SUBJECT_ALT_NAME = der(OID, bytes(0x55, 0x1d, 0x11))
const BASIC_CONSTRAINTS = der(OID, bytes(0x55, 0x1d, 0x13))

const toPem = (content: Buffer) =>
  `-----BEGIN CERTIFICATE-----\n${content.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`

/** A certificate that signs itself, so it is also the one to trust. @param host that it is for */
export function selfSigned (host: string): { key: string, cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(der(SET, sequence(COMMON_NAME, der(TEXT, Buffer.from(host)))))
  const content = sequence(
    der(VERSION, der(INTEGER, bytes(2))),
    der(INTEGER, bytes(1)),
    ECDSA_WITH_SHA256,
    name,
    sequence(time('20200101000000Z'), time('21200101000000Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(EXTENSIONS, sequence(
      sequence(BASIC_CONSTRAINTS, der(BOOLEAN, bytes(0xff)), der(OCTETS, sequence(der(BOOLEAN, bytes(0xff))))),
      sequence(SUBJECT_ALT_NAME, der(OCTETS, sequence(der(DNS_NAME, Buffer.from(host)))))
    ))
  )
  const signature = der(BITS, bytes(0), sign('sha256', content, privateKey))
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: toPem(sequence(content, ECDSA_WITH_SHA256, signature))
  }
}
