import type { Config } from '../config/read-settings.ts'
import { ApiError } from '../errors.ts'
import { mustEnrol } from '../factors/policy.ts'
import { isFresh } from '../tokens/authentication.ts'
import type { CallerEntry } from '../tokens/session-cache.ts'

/**
 * Tells what a caller who has access must do first: set up a second factor, or authenticate again.
 * @returns a function of what the route declares and the caller, which returns the error; undefined if there is none
 */
export function unmetBy ({ REAUTHENTICATION_WITHIN: within, SECOND_FACTOR: policy }: Config) {
  // RFC 9470 §3.
  const challenge = { 'www-authenticate': `Bearer error="insufficient_user_authentication", max_age=${within}` }
  return (freshness: true | undefined, enrolment: true | undefined, caller: CallerEntry): ApiError | undefined => {
    if (!enrolment && mustEnrol(caller, policy)) return new ApiError('SECOND_FACTOR_ENROLMENT_REQUIRED')
    if (!freshness || ('sessionId' in caller && isFresh(caller, within))) return undefined
    return new ApiError('REAUTHENTICATION_REQUIRED', undefined, { headers: challenge })
  }
}

/** Whether it is such an error. The session cache may not know yet that the caller has done so. */
export const isUnmet = ({ code }: ApiError): boolean =>
  code === 'REAUTHENTICATION_REQUIRED' || code === 'SECOND_FACTOR_ENROLMENT_REQUIRED'
