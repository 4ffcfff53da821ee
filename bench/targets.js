/** The contestant of gatehouse that another one is compared with: one with as many workers. */
export const baseOf = name => name.endsWith(' cluster') ? 'gatehouse cluster' : 'gatehouse'

/** The minimum rate of gatehouse relative to another contestant. */
const TARGETS = [
  ['test all', 'bare', 0.85],
  ['test user', 'fastify-jwt', 1.2],
  ['test user', 'express', 4],
  ['test user', 'express cluster', 4],
  ['test admin', 'gatehouse, test user', 0.95],
  ['test admin', 'one-query', 2],
  ['test admin', 'express', 15],
  ['test admin', 'better-auth cookie', 8],
  ['test admin', 'better-auth JWT', 2],
  ['API key', 'gatehouse, test user', 0.95],
  ['check', 'gatehouse, test user', 0.9],
  ['refresh', 'hot-rotation', 0.95],
  ['refresh', 'express', 2.5],
  ['refresh', 'express cluster', 2.5],
  ['sign-in 16', '@node-rs/argon2', 0.9],
  ['sign-in 64', '@node-rs/argon2', 0.9],
  ['sign-in 16', 'express', 2.5],
  ['sign-in 64', 'express', 2.5],
  ['passkey sign-in', 'gatehouse, sign-in 16', 20]
]

/** Maximum values of gatehouse, in milliseconds: the latency of the 99th percentile, and the first response. */
const MAXIMA = [['mix', 20], ['start', 700]]

/**
 * Compares the medians of one version of Node.js with the targets.
 * @returns {string[]} a line for each target of the measured workloads
 */
export function checkTargets (results, version) {
  const of = (workload, name) => results.find(result => result.workload === workload)?.contestants
    .find(contestant => contestant.name === name).runs[version].median
  const line = (met, workload, text) => `${met ? 'met   ' : 'MISSED'} ${version} ${workload}: ${text}`
  const isMeasured = ([workload]) => results.some(result => result.workload === workload)
  return [
    ...TARGETS.filter(isMeasured).map(([workload, other, target]) => {
      const ratio = of(workload, baseOf(other)) / of(workload, other)
      return line(ratio >= target, workload, `${ratio.toFixed(2)} × ${other}, target ${target}`)
    }),
    ...MAXIMA.filter(isMeasured).map(([workload, target]) => {
      const ms = of(workload, 'gatehouse')
      return line(ms <= target, workload, `${Math.round(ms)} ms, target at most ${target} ms`)
    })
  ]
}
