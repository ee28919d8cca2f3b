/** The arithmetic of loyalty/draws/proof.py once more, in the browser's own cryptography. */

const encoder = new TextEncoder();
const RANGE = 1n << 64n;

export async function check(published, progress) {
  const findings = [];
  if (published.rules_sha256 !== await sha256(published.document)) findings.push({ what: "document" });
  const seed = bytes(published.seed);
  if (await sha256(seed) !== published.commitment) findings.push({ what: "seed" });
  const rules = JSON.parse(published.document);
  const key = await crypto.subtle.importKey("raw", seed, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const left = { ...published.left_before };
  let head = published.commitment;
  for (const [place, record] of published.records.entries()) {
    const serial = place + 1;
    const rolled = await roll(key, rules, published.day, serial, record.nonce);
    const prize = take(rules, left, sector(rules.prizes, rolled));
    head = await sha256(`${head}|${serial}|${record.nonce}|${rolled}|${prize}`);
    const right = { serial, rolled, prize, link: head };
    for (const [name, value] of Object.entries(right)) {
      if (record[name] !== value) findings.push({ what: name, serial, given: record[name], right: value });
    }
    if (serial % 500 === 0) progress(serial / published.records.length);
  }
  if (head !== published.head) findings.push({ what: "head" });
  if (Object.entries(published.left_after).some(([name, count]) => left[name] !== count)) findings.push({ what: "left_after" });
  return findings;
}

async function roll(key, rules, day, serial, nonce) {
  const total = BigInt(rules.prizes.reduce((sum, prize) => sum + prize.weight, 0));
  const limit = RANGE - RANGE % total;
  for (let attempt = 0; ; attempt += 1) {
    const message = encoder.encode(`${rules.code}|${day}|${serial}|${nonce}|${attempt}`);
    const digest = new DataView(await crypto.subtle.sign("HMAC", key, message));
    const number = digest.getBigUint64(0);
    if (number < limit) return Number(number % total);
  }
}

function sector(prizes, number) {
  let rest = number;
  for (const prize of prizes) {
    if (rest < prize.weight) return prize.code;
    rest -= prize.weight;
  }
  throw new RangeError("the number is below the total weight");
}

function take(rules, left, prize) {
  const taken = prize in left && left[prize] <= 0 ? rules.fallback : prize;
  if (taken in left) left[taken] -= 1;
  return taken;
}

function bytes(hexadecimal) {
  return Uint8Array.from(hexadecimal.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

async function sha256(value) {
  const digest = await crypto.subtle.digest("SHA-256", typeof value === "string" ? encoder.encode(value) : value);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
