import cluster from 'node:cluster'
import { once } from 'node:events'

// The classic design in WORKERS processes. The first creates the tables before the others start.
if (cluster.isPrimary) {
  for (let i = 0; i < Number(process.env.WORKERS); i++) await once(cluster.fork(), 'listening')
} else {
  await import('./express.js')
}
