export const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

const round = value => value >= 100 ? Math.round(value) : Math.round(value * 10) / 10

/** The results as a Markdown table. */
export function toTable (results) {
  const rows = results.flatMap(({ workload, contestants }) => {
    const own = contestants.find(({ name }) => name === 'gatehouse').median
    return contestants.map(({ name, rates, median, failed, memory }) => [
      workload, name, round(median), `${round(Math.min(...rates))} to ${round(Math.max(...rates))}`,
      name === 'gatehouse' ? '' : `${(own / median).toFixed(2)}`, failed, memory ? Math.round(memory) : ''
    ])
  })
  const head = ['workload', 'server', 'median per second (mix: p99 in ms)', 'range', 'gatehouse ÷ server', 'failed', 'MiB after']
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** The results as a bar chart with a group per workload. */
export function toSvg (results, title) {
  const lines = []
  let y = 50
  for (const { workload, contestants } of results.filter(result => result.workload !== 'mix')) {
    const most = Math.max(...contestants.map(({ median }) => median))
    lines.push(`<text x="10" y="${y}" font-weight="bold">${workload}</text>`)
    for (const { name, median } of contestants) {
      y += 20
      const width = Math.max(1, Math.round(median / most * 420))
      lines.push(`<text x="20" y="${y}">${name}</text>`,
        `<rect x="170" y="${y - 11}" width="${width}" height="14" fill="${name === 'gatehouse' ? '#2563eb' : '#cbd5e1'}"/>`,
        `<text x="${176 + width}" y="${y}">${round(median)}/s</text>`)
    }
    y += 34
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 ${y}" font-family="sans-serif" font-size="12">` +
    `<rect width="700" height="${y}" fill="white"/><text x="10" y="22" font-size="15">${title}</text>${lines.join('')}</svg>\n`
}
