import { removeServer } from './postgres.ts'

// tap runs this after the last test file.
await removeServer()
