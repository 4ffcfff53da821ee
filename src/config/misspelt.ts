import { closest, distance } from 'fastest-levenshtein'
import { settingSchemas } from './read-settings.ts'

/**
 * Finds variables that look like misspelt settings.
 * @param names of the environment's variables
 * @returns a warning for each
 */
export function misspeltSettings (names: readonly string[]): string[] {
  const known = [...settingSchemas.keys()]
  return names.filter(name => /^[A-Z][A-Z0-9_]+$/.test(name) && !settingSchemas.has(name)).flatMap(name => {
    const nearest = closest(name, known)
    // One edit for a short name, such as PORT; otherwise two.
    const tolerated = nearest.length < 8 ? 1 : 2
    return distance(name, nearest) <= tolerated ? [`${name} is not a setting. Did you mean ${nearest}?`] : []
  })
}
