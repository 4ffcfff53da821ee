/**
 * The headers of every response (OWASP REST Security Cheat Sheet): an API response loads nothing, is never framed and
 * is what its type says. The page at /docs has a policy of its own (plugins/docs.ts).
 */
export const securityHeaders = {
  'content-security-policy': 'default-src \'none\';frame-ancestors \'none\'',
  'x-content-type-options': 'nosniff'
}

/** The headers of a response over HTTPS. RFC 6797 §7.2 forbids Strict-Transport-Security over plain HTTP. */
export const httpsSecurityHeaders = { ...securityHeaders, 'strict-transport-security': 'max-age=31536000' }
