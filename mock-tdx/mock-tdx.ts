/** The face of the package `mock-tdx`. */
export { assembleCollateral } from './collateral/collateral-parts.ts';
export { createDevelopmentPki, type DevelopmentPki, type QuoteRequest } from './development-pki.ts';
export { assembleQuote } from './quote/quote-parts.ts';
export { type MockTdx, type MockTdxOptions, startMockTdx } from './server.ts';
export { fleetLines, type TamperLine, tamperLines } from './tamper-kit.ts';
