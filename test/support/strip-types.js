import { register } from 'node:module'

// Loads TypeScript as Node 24 does by itself: types become blanks, so lines and columns stay, and no source maps are
// needed for stack traces and coverage. It takes half of the CPU time of tap's own loader, which compiles every file in
// every process.
if (!process.features.typescript) register('./strip-types-hooks.js', import.meta.url)
