import { errorCode } from '../unknown.ts'

/** Whether a process exists. EPERM: it does, and belongs to another user. */
export function isAlive (pid: number): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}
