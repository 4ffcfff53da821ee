import { createHash } from 'node:crypto'

/**
 * The SHA-256 of a text, base64url. It is what is stored of a secret with at least 128 random bits, which cannot be
 * searched, so that it needs neither salt nor cost (NIST SP 800-63B-4 §3.1.2.2).
 */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')
