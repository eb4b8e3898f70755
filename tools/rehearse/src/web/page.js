// The page: asks for the picture every second, draws it. Text goes in as text, never as markup: a card may be called anything.
"use strict";
const byId = (id) => document.getElementById(id);
const say = (id, text) => { byId(id).textContent = text; };
const grouped = (number) => Math.round(number).toLocaleString("en");
const SVG = "http://www.w3.org/2000/svg";

function svg(kind, attributes, text) {
  const node = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
function element(kind, className, text) {
  const node = document.createElement(kind);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
function rows(table, cellsOfRows, none) {
  const body = byId(table).tBodies[0];
  body.replaceChildren(...cellsOfRows.map((cells) => { const row = element("tr"); row.append(...cells); return row; }));
  if (cellsOfRows.length === 0) { const row = element("tr"); row.append(element("td", "empty", none)); body.append(row); }
  return [...body.rows];
}
const rate = (series) => { const last = series.slice(-6, -1); return last.length ? last.reduce((a, b) => a + b, 0) / last.length : 0; };
const lag = (ms) => ms < 1000 ? `${ms} ms` : ms < 120000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min`;

// A picture is drawn in the pixels that it has, so that its letters are as large as all others, at every width.
const roomOf = (id) => Math.max(240, Math.floor(byId(id).clientWidth));
function drawRates(snapshot) {
  const [width, height, left, bottom] = [roomOf("rates"), 170, 46, 20];
  const series = [["in", snapshot.records_per_second.slice(0, -1)], ["out", snapshot.outcomes_per_second.slice(0, -1)]];
  const top = Math.max(10, ...series.flatMap(([, values]) => values)) * 1.1;
  const x = (at, count) => left + at * (width - left - 8) / Math.max(1, count - 1);
  const y = (value) => 8 + (height - bottom - 8) * (1 - value / top);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "Events and outcomes a second" });
  for (const share of [0, 0.5, 1]) {
    const value = top / 1.1 * share;
    picture.append(svg("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }), svg("text", { x: 0, y: y(value) + 4 }, grouped(value)));
  }
  for (const [name, values] of series) {
    const points = values.map((value, at) => `${x(at, values.length).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    if (name === "in") picture.append(svg("polygon", { class: "area", points: `${left},${y(0)} ${points} ${width - 8},${y(0)}` }));
    picture.append(svg("polyline", { class: `line ${name}`, points }));
  }
  picture.append(svg("text", { x: left, y: height - 4 }, "a minute ago"), svg("text", { x: width - 8, y: height - 4, "text-anchor": "end" }, "now"));
  byId("rates").replaceChildren(picture);
}

function show(answer) {
  const snapshot = answer.snapshot;
  const pill = byId("verdict");
  pill.textContent = answer.verdict;
  pill.className = "pill " + (answer.verdict === "OK" ? "ok" : ["BLIND", "BEHIND", "LOST"].includes(answer.verdict) ? "bad" : "warn");
  say("why", answer.why);
  say("rate-in", grouped(rate(snapshot.records_per_second)));
  say("rate-out", grouped(rate(snapshot.outcomes_per_second)));
  ["p50", "p95", "p99"].forEach((id, at) => say(id, snapshot.latency_ms ? grouped(snapshot.latency_ms[at]) : "–"));
  say("degraded", snapshot.outcomes ? (100 * answer.degraded_share).toFixed(2) : "–");
  say("write", snapshot.write_units === null ? "–" : grouped(snapshot.write_units));
  say("read", snapshot.read_units === null ? "–" : grouped(snapshot.read_units));
  rates = snapshot;
  drawRates(snapshot);
  const worst = Math.max(1000, ...snapshot.shards.map((shard) => shard.lag_ms));
  rows("shards", snapshot.shards.map((shard) => {
    const meter = element("td", "meter");
    const bar = element("div", shard.lag_ms >= 5000 ? "bar late" : "bar");
    bar.style.width = `${100 * shard.lag_ms / worst}%`;
    meter.append(bar);
    return [element("td", "", shard.shard_id.replace(/^shardId-0*(?=\d)/, "shard ")), meter, element("td", "number", lag(shard.lag_ms))];
  }), "no shard yet");
  rows("queues", snapshot.queues.map((queue) => [element("td", "", queue.name),
    element("td", queue.messages ? "number review" : "number", queue.messages === null ? "–" : grouped(queue.messages))]), "none");
  rows("decisions", ["alert", "review", "pass"].map((name) => [element("td", name, name), element("td", "number", grouped(snapshot.decisions[name] || 0))]), "none");
  const top = rows("top", snapshot.top.map((score) => [element("td", score.decision, score.score), element("td", score.decision, score.decision),
    element("td", "", score.card_id), element("td", "", score.reasons.join(", "))]), "no outcome in the last minute");
  snapshot.top.forEach((score, at) => { top[at].tabIndex = 0; top[at].onclick = () => showCard(score.card_id); top[at].onkeydown = (key) => { if (key.key === "Enter") showCard(score.card_id); }; });
}

const money = (card, minor) => minor === null ? "amount without a rate" : `${(minor / 10 ** card.minor_digits).toLocaleString("en", { minimumFractionDigits: card.minor_digits })} ${card.currency}`;
const when = (ms) => new Date(ms).toISOString().replace("T", " ").slice(0, 19);

// What draws the card that is shown once more, when the window has another width.
let shown = null, rates = null;
window.addEventListener("resize", () => { if (shown) shown(); if (rates) drawRates(rates); });
function drawCard(card, chosen) {
  const [width, height, left, bottom] = [roomOf("events"), 270, 46, 22];
  const events = card.events;
  const [first, last] = [events[0].time_ms, events[events.length - 1].time_ms];
  const most = Math.max(...events.map((event) => event.amount_minor));
  const x = (ms) => left + 10 + (ms - first) / Math.max(1, last - first) * (width - left - 30);
  const y = (score) => 20 + (height - bottom - 20) * (1 - score / 1000);
  const size = (minor) => 4 + 9 * Math.sqrt(minor / Math.max(1, most));
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "Scores of the card's events over time" });
  for (const score of [0, 500, 1000]) picture.append(svg("line", { class: "grid", x1: left, x2: width, y1: y(score), y2: y(score) }), svg("text", { x: 0, y: y(score) + 4 }, score));
  for (const name of ["review", "alert"]) picture.append(svg("line", { class: `limit ${name}`, x1: left, x2: width, y1: y(card[name]), y2: y(card[name]) }));
  for (const event of events) picture.append(svg("line", { class: "stem", x1: x(event.time_ms), x2: x(event.time_ms), y1: y(0), y2: y(event.score) }));
  for (const event of events) {
    const circle = svg("circle", { class: event.decision + (event === chosen ? " chosen" : ""), cx: x(event.time_ms), cy: y(event.score), r: size(event.amount_minor) });
    circle.append(svg("title", {}, `${when(event.time_ms)}  ${money(card, event.amount_minor)}  score ${event.score}`));
    circle.onclick = () => { drawCard(card, event); drawEvent(card, event); };
    picture.append(circle);
  }
  for (const name of ["review", "alert"]) picture.append(svg("text", { class: "over", x: left + 4, y: y(card[name]) - 4 }, `${name} from ${card[name]}`));
  const day = (ms) => width < 600 ? when(ms).slice(5, 16) : when(ms);
  picture.append(svg("text", { x: left, y: height - 4 }, day(first)), svg("text", { x: width, y: height - 4, "text-anchor": "end" }, day(last)));
  byId("events").replaceChildren(picture);
  shown = () => drawCard(card, chosen);
}

function drawEvent(card, event) {
  const what = element("div");
  what.append(element("h3", event.decision, `Score ${event.score}: ${event.decision}`));
  const facts = [`${when(event.time_ms)} UTC`, `${money(card, event.amount_minor)} in ${event.country}, ${event.approved ? "approved" : "declined"}`,
    `tier ${event.tier}, policy ${event.policy_version}`, ...(event.label ? [`labelled ${event.label}`] : [])];
  for (const fact of facts) what.append(element("div", "", fact));
  const why = element("div");
  why.append(element("h3", "", "Why"));
  const list = element("ul");
  for (const reason of event.reasons) { const item = element("li"); item.append(element("span", "share", `${reason.share_pct} %`), reason.words); list.append(item); }
  if (event.reasons.length === 0) list.append(element("li", "", "nothing stands out"));
  why.append(list);
  const windows = element("div");
  windows.append(element("h3", "", "Windows up to this event"));
  const table = element("table");
  card.windows.forEach((name, at) => {
    const row = table.insertRow();
    row.append(element("td", "", name), element("td", "number", `${grouped(event.in_windows[at][0])} events`), element("td", "number", money(card, event.in_windows[at][1])));
  });
  windows.append(table);
  byId("event").replaceChildren(what, why, windows);
}

async function showCard(id) {
  byId("timeline").hidden = false;
  byId("card").value = id;
  shown = null;
  say("card-name", id);
  const answer = await fetch(`/api/cards/${encodeURIComponent(id)}`);
  const card = await answer.json();
  if (!answer.ok) {
    say("card-facts", "");
    byId("events").replaceChildren(element("p", "problem", `${card.what} (${card.code}). ${card.advice}`));
    byId("event").replaceChildren();
    return;
  }
  say("card-facts", `${grouped(card.accepted)} events accepted, ${card.events.length} kept in ${grouped(card.state_bytes)} bytes, written ${grouped(card.version)} times, ` +
    (card.profile_version === null ? "no profile" : `profile ${card.profile_version}`));
  if (card.events.length === 0) { byId("events").replaceChildren(element("p", "", "no events")); return; }
  const highest = card.events.reduce((best, event) => event.score >= best.score ? event : best);
  drawCard(card, highest);
  drawEvent(card, highest);
}

byId("find").onsubmit = (submit) => { submit.preventDefault(); const id = byId("card").value.trim(); if (id) showCard(id); };
async function look() {
  try { show(await (await fetch("/api/snapshot")).json()); }
  catch (error) { const pill = byId("verdict"); pill.textContent = "GONE"; pill.className = "pill bad"; say("why", "the local AWS does not answer: it was stopped, or its machine sleeps"); }
}
look();
setInterval(look, 1000);
const asked = new URLSearchParams(location.search).get("card");
if (asked) showCard(asked);
