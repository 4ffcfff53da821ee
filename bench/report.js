import { baseOf } from './targets.js'

export const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

/** A number with three digits, or all before the point. */
const round = value => value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))

const toRow = cells => `| ${cells.join(' | ')} |`

/** The cells of one contestant on one version of Node.js. `base` is what gatehouse measured there. */
function toCells ({ values, median, cpu, memory }, base, unit) {
  const range = `${round(Math.min(...values))}–${round(Math.max(...values))}`
  return [
    `${round(median)}${unit ? ` ${unit}` : ''} (${range})`,
    base === undefined || unit ? '' : (base.median / median).toFixed(2),
    cpu === undefined ? '' : round(cpu),
    Math.round(memory)
  ]
}

/** The results as a Markdown table, with the columns of each version of Node.js side by side. */
export function toTable (results, versions) {
  const rows = results.flatMap(({ workload, unit, contestants }) => contestants.map(({ name, runs }) => {
    const base = contestants.find(other => other.name === baseOf(name))
    return [
      workload, name,
      ...versions.flatMap(version => toCells(runs[version], base.name === name ? undefined : base.runs[version], unit)),
      Object.values(runs).reduce((total, { failed }) => total + failed, 0)
    ]
  }))
  const columns = version =>
    [`${version}: median per second (range)`, 'gatehouse ÷ server', 'server\'s CPU ms per request', 'MiB after']
  const head = ['workload', 'server', ...versions.flatMap(columns), 'failed']
  return [head, head.map(() => '---'), ...rows].map(toRow).join('\n')
}

const COLOURS = { gatehouse: ['#2563eb', '#60a5fa'], other: ['#94a3b8', '#cbd5e1'] }

/** The rates as a bar chart with a group per workload, and a bar per version of Node.js. */
export function toSvg (results, versions, title) {
  const lines = []
  let y = 50
  for (const { workload, contestants } of results.filter(({ unit }) => unit === undefined)) {
    const most = Math.max(...contestants.flatMap(({ runs }) => Object.values(runs).map(({ median }) => median)))
    lines.push(`<text x="10" y="${y}" font-weight="bold">${workload}</text>`)
    for (const { name, runs } of contestants) {
      const colours = COLOURS[name === baseOf(name) ? 'gatehouse' : 'other']
      lines.push(`<text x="20" y="${y + 20}">${name}</text>`)
      for (const [index, version] of versions.entries()) {
        y += 18
        const width = Math.max(1, Math.round(runs[version].median / most * 400))
        const text = `${round(runs[version].median)}/s${versions.length > 1 ? ` (${version})` : ''}`
        lines.push(`<rect x="170" y="${y - 9}" width="${width}" height="14" fill="${colours[index % 2]}"/>`,
          `<text x="${176 + width}" y="${y + 2}">${text}</text>`)
      }
      y += 4
    }
    y += 34
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 ${y}" font-family="sans-serif" font-size="12">` +
    `<rect width="740" height="${y}" fill="white"/><text x="10" y="22" font-size="15">${title}</text>${lines.join('')}</svg>\n`
}
