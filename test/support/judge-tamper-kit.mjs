// The verdicts of any build of @latchkey/tdx: run by Node.js and by browsers, so it imports nothing.

/**
 * @param tdx the package, as it was imported.
 * @param lines evidence in the form of mock-tdx's tamper kit.
 * @returns for each line its TCB status, or the code of the refusal.
 */
export function judge(tdx, lines) {
  return lines.map(({ quote, collateral, now, root, policy }) => {
    try {
      const trust = root === undefined ? {} : { trustRoot: tdx.insecureTrustRoot(root) };
      const options = { collateral: tdx.parseCollateralDocuments(collateral), nowMs: Date.parse(now) };
      const verified = new tdx.QuoteVerifier(trust).verify(tdx.parseBase64Quote(quote), options);
      const rules = policy === undefined ? tdx.defaultPolicy : tdx.parsePolicy(policy);
      tdx.applyPolicy(verified, rules, options.nowMs);
      // What a caller prints: no byte array may be left in it.
      const printed = JSON.parse(JSON.stringify(verified));
      return /^[0-9a-f]{96}$/.test(printed.quote.body.mrTd)
        ? verified.tcbStatus
        : 'a quote without MRTD in hex';
    } catch (error) {
      return error.code ?? String(error);
    }
  });
}
