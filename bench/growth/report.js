/** Number of users, as a person writes it. */
const toText = size => size.toLocaleString('en')

const ratioOf = ({ medians }) => medians.at(-1) / medians[0]

/** The results as a Markdown table. */
export function toTable ({ sizes, results }) {
  const head = ['statement', ...sizes.map(toText), 'largest ÷ smallest']
  const rows = results.map(result => [`\`${result.statement}\``, ...result.medians, ratioOf(result).toFixed(2)])
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

const WIDTH = 700
const HEIGHT = 560
const [LEFT, RIGHT, TOP, BOTTOM] = [75, 35, 50, 50]

/** The results as a chart: a dot per statement, by its duration at the smallest and at the largest size. */
export function toSvg ({ machine, sizes, results }) {
  const all = results.flatMap(({ medians }) => [medians[0], medians.at(-1)])
  const [least, most] = [Math.log10(Math.min(...all)) - 0.1, Math.log10(Math.max(...all)) + 0.1]
  const share = value => (Math.log10(value) - least) / (most - least)
  const x = value => (LEFT + share(value) * (WIDTH - LEFT - RIGHT)).toFixed(1)
  const y = value => (HEIGHT - BOTTOM - share(value) * (HEIGHT - TOP - BOTTOM)).toFixed(1)
  const ends = [10 ** least, 10 ** most]
  const line = (ratio, colour) => {
    const [from, to] = [Math.max(ends[0], ends[0] / ratio), Math.min(ends[1], ends[1] / ratio)]
    return `<path d="M${x(from)} ${y(from * ratio)}L${x(to)} ${y(to * ratio)}" stroke="${colour}"/>`
  }
  const ticks = Array.from({ length: 7 }, (_, power) => 10 ** power).filter(value => value > ends[0] && value < ends[1])
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="10" y="22" font-size="15">Duration of each statement in microseconds: ${machine}</text>`,
    line(1, '#64748b'), line(2, '#cbd5e1'), line(1 / 2, '#cbd5e1'),
    ...ticks.map(value => `<text x="${x(value)}" y="${HEIGHT - 30}" text-anchor="middle">${toText(value)}</text>` +
      `<text x="${LEFT - 8}" y="${y(value)}" text-anchor="end">${toText(value)}</text>`),
    `<text x="${WIDTH / 2}" y="${HEIGHT - 10}" text-anchor="middle">${toText(sizes[0])} users</text>`,
    `<text x="20" y="${HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 20 ${HEIGHT / 2})">` +
      `${toText(sizes.at(-1))} users</text>`,
    ...results.map(({ statement, medians }) => `<circle cx="${x(medians[0])}" cy="${y(medians.at(-1))}" r="4" ` +
      `fill="#2563eb" fill-opacity="0.6"><title>${statement}</title></circle>`),
    '</svg>\n'
  ].join('\n')
}
