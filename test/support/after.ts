import { removeServer } from './postgres.ts'

await removeServer()
