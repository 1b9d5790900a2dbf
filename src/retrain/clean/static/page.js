"use strict";
// The page: asks the server what to show, shows it, and sends choices. A choice is shown as made
// only after the server has written it down. Names come from files: they are set as text, never as
// markup.

const $ = (id) => document.getElementById(id);
const POLL = 3000; // milliseconds until other tabs' choices are looked for
const state = {
  all: null, // of the whole page, as /api/state says
  kind: "",
  category: "",
  first: 0,
  list: null, // as /api/items says
  tiles: [], // of this page, in order
  at: 0, // the current one
  looking: 0, // numbers the requests for details, so that late answers are dropped
  heat: false,
};
const SHORT = {
  label: "Labels", copy: "Copies", series: "Series", unusual: "Unusual", shortcut: "Shortcuts",
  quality: "Few, small, dark",
};
const channel = "BroadcastChannel" in window ? new BroadcastChannel("retrain-clean") : null;

class Refused extends Error {
  constructor(message, problems) {
    super(message);
    this.problems = problems || {};
  }
}

async function ask(path, said) {
  const how = said === undefined ? {} : { method: "POST", body: JSON.stringify(said) };
  let answer;
  try {
    answer = await fetch(path, how);
  } catch {
    throw new Refused("The server does not answer. Is `retrain clean` still running?");
  }
  const json = (answer.headers.get("content-type") || "").startsWith("application/json");
  const found = json ? await answer.json() : { error: await answer.text() };
  if (!answer.ok) throw new Refused(found.error, found.problems);
  return found;
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("aria-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const say = (text) => {
  $("status").textContent = text;
};
const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const small = (picture) => `/picture/${picture.id}/${picture.sha256}/small.jpg`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;

function complain(error) {
  $("problem").textContent = error ? error.message : "";
  if (error) say(error.message);
}

// ------------------------------------------------------------------ what there is to look at

function showState(found) {
  state.all = found;
  $("workspace").textContent = found.name;
  const parts = [];
  if (found.moved) parts.push(`${found.moved} moved`);
  if (found.left_out) parts.push(`${found.left_out} left out`);
  if (found.kept) parts.push(`${found.kept} confirmed`);
  $("summary").textContent =
    `${count(found.pictures, "picture", "pictures")}` + (parts.length ? ` · ${parts.join(", ")}` : "");
  $("check").hidden = !found.can.check;
  $("undo").disabled = !found.last.length;
  showKinds(found);
  showCategories(found.categories);
}

function showKinds(found) {
  const entries = [
    ["", "All findings", sum(found.kinds, "open"), sum(found.kinds, "count")],
    ...found.kinds.filter((one) => one.count).map((one) => [one.kind, one.title, one.open, one.count]),
    ["pictures", "All pictures", null, found.pictures],
  ];
  $("kinds").replaceChildren(
    ...entries.map(([kind, title, open, all]) => {
      const label = SHORT[kind] || title;
      const left = open === null ? all.toLocaleString("en") : `${open} of ${all}`;
      const button = element(
        "button",
        { type: "button", title: title[0].toUpperCase() + title.slice(1), "aria-pressed": String(kind === state.kind) },
        element("span", {}, label),
        element("span", { class: "number" }, left),
      );
      button.onclick = () => go({ kind, first: 0 });
      return element("li", {}, button);
    }),
  );
}

const sum = (entries, field) => entries.reduce((total, one) => total + one[field], 0);

function showCategories(categories) {
  const names = categories.map((one) => one.name);
  const key = JSON.stringify(categories);
  if (showCategories.shown === key) return;
  showCategories.shown = key;
  $("category").replaceChildren(
    element("option", { value: "" }, "all"),
    ...categories.map((one) => element("option", { value: one.name }, `${one.name} (${one.count})`)),
  );
  $("category").value = names.includes(state.category) ? state.category : "";
  $("categories").replaceChildren(...names.map((name) => element("option", { value: name })));
  $("chips").replaceChildren(
    ...names.slice(0, 9).map((name, i) => {
      const button = element(
        "button",
        { type: "button", class: "chip", title: `Move to ${name}`, "aria-keyshortcuts": String(i + 1) },
        element("kbd", {}, String(i + 1)),
        ` ${name}`,
      );
      button.onclick = () => choose("move", name);
      return button;
    }),
  );
}

async function refreshState() {
  const found = await ask("/api/state");
  const isNew = state.all && state.all.version !== found.version;
  showState(found);
  if (isNew) await refreshPictures();
}

async function refreshPictures() {
  const ids = state.tiles.map((tile) => tile.picture.id);
  for (let i = 0; i < ids.length; i += 200) {
    const some = ids.slice(i, i + 200);
    const found = await ask(`/api/pictures?ids=${some.join(",")}`);
    const there = new Set(found.pictures.map((picture) => picture.id));
    found.pictures.forEach(update);
    for (const tile of state.tiles) {
      if (some.includes(tile.picture.id) && !there.has(tile.picture.id)) markGone(tile);
    }
  }
}

// ------------------------------------------------------------------ the list

async function go(change, focus = false) {
  Object.assign(state, change);
  const query = new URLSearchParams({
    kind: state.kind,
    category: state.category,
    first: state.first,
    open: $("open").checked ? "1" : "0",
  });
  history.replaceState(null, "", `#kind=${state.kind}`);
  try {
    const [found, all] = await Promise.all([ask(`/api/items?${query}`), ask("/api/state")]);
    showState(all);
    showList(found);
    complain(null);
    if (focus) focusTile(0);
  } catch (error) {
    complain(error);
  }
}

function showList(found) {
  state.list = found;
  state.first = found.first;
  state.tiles = [];
  closeDetails();
  $("items").replaceChildren(...found.items.map(itemElement));
  state.at = 0;
  rove();
  const last = found.first + found.items.length;
  $("place").textContent = found.total ? `${found.first + 1} to ${last} of ${found.total}` : "";
  $("previous").disabled = found.first === 0;
  $("next").disabled = last >= found.total;
  $("empty").hidden = found.total > 0;
  $("empty").textContent = emptyWords();
  showTarget();
}

function emptyWords() {
  const filtered = state.category ? ` in ${state.category}` : "";
  if (state.kind === "pictures") return `No picture${filtered} is left to look at.`;
  return $("open").checked
    ? `Nothing${filtered} is left to decide here. Train again to see what it brought.`
    : `Nothing was found${filtered}.`;
}

function itemElement(item) {
  const several = item.pictures.length > 1;
  const tiles = item.pictures.map((picture) => tileOf(item, picture));
  const more = item.more ? `and ${count(item.more, "more picture", "more pictures")}` : "";
  const gone = item.gone ? `${count(item.gone, "picture is", "pictures are")} gone since` : "";
  const note = [more, gone].filter(Boolean).join("; ");
  const made = element("li", { class: `item${several || !tiles.length ? " wide" : ""}` });
  if (several || !tiles.length) {
    made.append(element("h2", {}, `${item.title}: ${item.category}`));
    made.append(element("p", { class: "why" }, item.why));
  }
  made.append(element("div", { class: "tiles" }, ...tiles.map((tile) => tile.element)));
  if (note) made.append(element("p", { class: "why" }, note));
  return made;
}

function tileOf(item, picture) {
  const tile = { item, picture };
  const name = picture.name.split("/").pop();
  tile.image = element("img", { alt: "", loading: "lazy", src: small(picture), draggable: false });
  tile.image.onerror = () => markGone(tile);
  tile.box = element("input", { type: "checkbox", tabIndex: -1, "aria-label": `Select ${name}` });
  tile.box.onchange = () => {
    tile.element.classList.toggle("picked", tile.box.checked);
    showTarget();
  };
  tile.badge = element("span", { class: "badge" });
  tile.said = element("p", { class: "said" });
  tile.buttons = element("div", { class: "buttons" });
  tile.element = element(
    "div",
    { class: "tile", role: "group", tabIndex: -1, "aria-label": "" },
    element("div", { class: "frame" }, tile.image, tile.badge, element("label", { class: "pick" }, tile.box)),
    element("p", { class: "name", title: picture.name }, name),
    tile.said,
    item.why && item.pictures.length === 1 ? element("p", { class: "why" }, item.why) : null,
    tile.buttons,
  );
  tile.element.onfocus = () => enter(tile);
  tile.element.onmousedown = (event) => {
    if (event.shiftKey) event.preventDefault(); // the range begins where the focus is
  };
  tile.element.onclick = (event) => {
    if (event.target.closest("button, input, label")) return enter(tile);
    if (event.shiftKey) return pickTo(tile);
    if (event.ctrlKey || event.metaKey) return pick(tile, !tile.box.checked);
    const again = state.tiles[state.at] === tile && !$("details").hidden;
    tile.element.focus();
    if (!again) openDetails();
  };
  state.tiles.push(tile);
  paint(tile);
  return tile;
}

function paint(tile) {
  const { item, picture } = tile;
  const suggestion = item.suggestion && item.suggestion !== picture.category ? item.suggestion : "";
  const done = { keep: "confirmed", out: "left out", move: `now ${picture.category}` }[picture.what] || "";
  tile.badge.textContent = done;
  tile.element.dataset.what = picture.what;
  tile.said.replaceChildren(
    element("b", {}, picture.folder),
    picture.files > 1 ? ` (${picture.files} files, one choice)` : "",
    ...(suggestion && !picture.what ? [" – rather ", element("b", {}, suggestion), "?"] : []),
  );
  const words = [picture.name.split("/").pop(), `in ${picture.folder}`];
  if (picture.files > 1) words.push(`${picture.files} files of this content, one choice for all`);
  if (suggestion && !picture.what) words.push(`rather ${suggestion}?`);
  words.push(done || "not decided");
  tile.element.setAttribute("aria-label", words.join(", "));
  const button = (text, choice, category) => {
    const made = element("button", { type: "button", tabIndex: -1 }, text);
    made.onclick = () => choose(choice, category, [tile]);
    return made;
  };
  tile.buttons.replaceChildren(
    ...(picture.what
      ? [button("Take back", "back")]
      : [
          ...(suggestion ? [button(`Move to ${suggestion}`, "move", suggestion)] : []),
          button("Keep", "keep"),
          button("Leave out", "out"),
        ]),
  );
}

function markGone(tile) {
  tile.gone = true;
  tile.element.classList.add("gone");
  tile.badge.textContent = "changed or gone";
  tile.element.setAttribute("aria-label", `${tile.picture.name.split("/").pop()}, changed or gone`);
}

function update(picture) {
  for (const tile of state.tiles) {
    if (tile.picture.id !== picture.id) continue;
    const other = tile.picture.sha256 !== picture.sha256;
    tile.picture = picture;
    if (other || tile.gone) {
      tile.gone = false;
      tile.element.classList.remove("gone");
      tile.image.src = small(picture);
    }
    paint(tile);
  }
}

// ------------------------------------------------------------------ where one is

function rove() {
  state.tiles.forEach((tile, i) => {
    tile.element.tabIndex = i === state.at ? 0 : -1;
    for (const inner of tile.element.querySelectorAll("button, input")) {
      inner.tabIndex = i === state.at ? 0 : -1;
    }
  });
}

function enter(tile) {
  state.at = state.tiles.indexOf(tile);
  rove();
  showTarget();
  if (!$("details").hidden) showDetails();
}

function focusTile(i) {
  const tile = state.tiles[i];
  if (!tile) return;
  tile.element.focus();
  tile.element.scrollIntoView({ block: "nearest" });
}

function focusBeside(key) {
  const here = state.tiles[state.at].element.getBoundingClientRect();
  if (key === "ArrowLeft") return focusTile(state.at - 1);
  if (key === "ArrowRight") return focusTile(state.at + 1);
  const down = key === "ArrowDown";
  let best = null;
  state.tiles.forEach((tile, i) => {
    const there = tile.element.getBoundingClientRect();
    const rows = down ? there.top - here.top : here.top - there.top;
    if (rows < 8) return;
    const far = rows * 10 + Math.abs(there.left - here.left);
    if (!best || far < best.far) best = { i, far };
  });
  return best && focusTile(best.i);
}

const picked = () => state.tiles.filter((tile) => tile.box.checked);

function pick(tile, on) {
  tile.box.checked = on;
  tile.element.classList.toggle("picked", on);
  showTarget();
}

function pickTo(tile) {
  const to = state.tiles.indexOf(tile);
  const [low, high] = [Math.min(state.at, to), Math.max(state.at, to)];
  for (let i = low; i <= high; i += 1) pick(state.tiles[i], true);
  focusTile(to);
}

function showTarget() {
  const many = picked();
  const tile = state.tiles[state.at];
  let words = "No picture";
  if (many.length) words = `${count(many.length, "picture", "pictures")} selected`;
  else if (tile) words = tile.picture.name;
  $("target").textContent = words;
  for (const button of $("bar").querySelectorAll("button")) {
    if (button.id !== "undo") button.disabled = !tile;
  }
}

// ------------------------------------------------------------------ choosing

async function choose(choice, category, tiles) {
  const many = picked();
  const chosen = (tiles || (many.length ? many : [state.tiles[state.at]])).filter(Boolean);
  if (!chosen.length) return;
  const pictures = {};
  for (const tile of chosen) pictures[tile.picture.id] = tile.picture.sha256;
  chosen.forEach((tile) => tile.element.classList.add("waiting"));
  try {
    const found = await ask("/api/choose", { pictures, choice, category: category || "" });
    made(found);
    for (const tile of many) pick(tile, false);
    const what = { keep: "confirmed", out: "left out", move: `moved to ${category}`, back: "taken back" }[choice];
    const whose = chosen.length === 1 ? chosen[0].picture.name : count(chosen.length, "picture", "pictures");
    say(`${whose}: ${what}.`);
    onwards(chosen);
  } catch (error) {
    complain(error);
    for (const id of Object.keys(error.problems || {})) {
      state.tiles.filter((tile) => tile.picture.id === id).forEach(markGone);
    }
    if (Object.keys(error.problems || {}).length) await refreshPictures();
  } finally {
    chosen.forEach((tile) => tile.element.classList.remove("waiting"));
  }
}

function made(found) {
  complain(null);
  found.changed.forEach(update);
  showState(found.state);
  rove();
  if (!$("details").hidden) showDetails();
  if (channel) channel.postMessage(found.state.version);
}

function onwards(chosen) {
  const last = Math.max(...chosen.map((tile) => state.tiles.indexOf(tile)));
  const next = state.tiles.findIndex((tile, i) => i > last && !tile.picture.what && !tile.gone);
  if (next >= 0) focusTile(next);
  else focusTile(Math.max(0, last));
}

async function undo() {
  try {
    const found = await ask("/api/undo", {});
    made(found);
    const whose = found.changed.map((picture) => picture.name);
    say(whose.length ? `Taken back: ${whose.slice(0, 3).join(", ")}.` : "Taken back.");
    const at = state.tiles.findIndex((tile) => found.changed.some((one) => one.id === tile.picture.id));
    if (at >= 0) focusTile(at);
  } catch (error) {
    complain(error);
  }
}

function moveToTyped() {
  const name = $("move-to").value.trim();
  if (!name) return;
  $("move-to").value = "";
  choose("move", name);
}

// ------------------------------------------------------------------ one picture in detail

function openDetails() {
  if (!state.tiles[state.at]) return;
  $("details").hidden = false;
  document.body.classList.add("detailed");
  showDetails();
}

function closeDetails() {
  if ($("details").hidden) return;
  $("details").hidden = true;
  state.heat = false;
  document.body.classList.remove("detailed");
  focusTile(state.at);
}

async function showDetails() {
  const tile = state.tiles[state.at];
  if (!tile) return;
  const { picture, item } = tile;
  const number = (state.looking += 1);
  $("details-name").textContent = picture.name;
  $("details-said").textContent = tile.badge.textContent
    ? `In ${picture.folder}, ${tile.badge.textContent}.`
    : `In ${picture.folder}.`;
  $("details-why").textContent = item.why;
  $("large-gone").hidden = true;
  showHeat();
  $("near").hidden = true;
  if (!state.all.can.neighbours) return;
  try {
    const found = await ask(`/api/picture/${picture.id}`);
    if (number !== state.looking) return;
    $("neighbours").replaceChildren(
      ...found.neighbours.map((near) =>
        element(
          "li",
          { class: near.category === picture.category ? "" : "other" },
          element("img", { src: small(near), alt: "", loading: "lazy" }),
          element("span", {}, near.category),
        ),
      ),
    );
    $("near").hidden = !found.neighbours.length;
  } catch (error) {
    if (number === state.looking) complain(error);
  }
}

function showHeat() {
  const { picture, item } = state.tiles[state.at];
  const wanted = item.suggestion || picture.category;
  $("heat").hidden = !state.all.can.heat;
  $("heat-category").textContent = wanted;
  $("heat").setAttribute("aria-pressed", String(state.heat));
  const base = `/picture/${picture.id}/${picture.sha256}/large.jpg`;
  const heat = `/heat/${picture.id}/${picture.sha256}.png?${new URLSearchParams({ category: wanted })}`;
  $("large").classList.toggle("heated", state.heat);
  $("large").classList.add("waiting");
  $("large").src = state.heat ? heat : base;
}

$("large").onload = () => {
  $("large").classList.remove("waiting");
  $("large-gone").hidden = true;
};
$("large").onerror = () => {
  $("large").classList.remove("waiting");
  $("large-gone").hidden = false;
  $("large-gone").textContent = state.heat
    ? "The model has nothing to say about this category."
    : "The picture was changed, or is gone.";
};

// ------------------------------------------------------------------ training

async function openTraining() {
  $("train").showModal();
  await showTraining();
}

async function showTraining() {
  try {
    const found = await ask("/api/training");
    const { moved, left_out: out } = state.all;
    const changes = [];
    if (moved) changes.push(`${count(moved, "picture counts", "pictures count")} as another category`);
    if (out) changes.push(`${count(out, "picture is", "pictures are")} left out`);
    $("train-changes").textContent = changes.length
      ? `With your corrections, ${changes.join(" and ")}. No file is moved or deleted.`
      : "Nothing was corrected yet, so that the same training would be repeated.";
    $("train-command").textContent = found.command;
    showNumbers(found);
    $("train-said").hidden = !found.said.length;
    $("train-said").textContent = found.said.join("\n");
    $("train-said").scrollTop = $("train-said").scrollHeight;
    $("train-start").disabled = found.running;
    $("train-start").textContent = found.running ? "Training …" : "Start";
    $("train-stop").hidden = !found.running;
    if (found.running && $("train").open) setTimeout(showTraining, 1000);
  } catch (error) {
    $("train-note").textContent = error.message;
  }
}

function showNumbers(found) {
  const rows = [];
  const row = (title, one) => {
    const range = one.interval ? `${percent(one.interval[0])} to ${percent(one.interval[1])}` : "";
    rows.push(
      element(
        "tr",
        {},
        element("th", { scope: "row" }, title),
        element("td", {}, one.accuracy === null ? "not known" : percent(one.accuracy)),
        element("td", {}, range),
        element("td", {}, one.log_loss === null ? "" : one.log_loss.toFixed(3)),
        element("td", {}, one.pictures === null ? "" : String(one.pictures)),
      ),
    );
  };
  if (found.before) row(found.now ? "Before" : "Now", found.before);
  const changed = found.now && (!found.before || found.now.run !== found.before.run);
  if (changed) row("After", found.now);
  $("train-numbers").hidden = !rows.length;
  $("train-numbers").tBodies[0].replaceChildren(...rows);
  let note = found.before ? "" : "No model was trained here yet.";
  if (changed) {
    go({ first: 0 }); // the training has looked for findings, too
    const report = found.now.report ? ` Its report: ${found.now.report}` : "";
    note =
      "Each model is judged by pictures with the labels it was given, so part of the gain is that " +
      `fewer of these are wrong.${report}`;
    say("The training is done.");
  } else if (found.now && found.code) {
    note = "The training did not come to its end; the model is as before.";
    say(note);
  }
  $("train-note").textContent = note;
}

// ------------------------------------------------------------------ keys and buttons

const KEYS = {
  k: () => choose("keep"),
  x: () => choose("out"),
  u: undo,
  s: () => {
    const { suggestion } = state.tiles[state.at].item;
    if (suggestion) choose("move", suggestion);
    else say("No category is suggested for this picture.");
  },
  m: () => $("move-to").focus(),
  a: () => {
    const on = picked().length < state.tiles.length;
    for (const tile of state.tiles) pick(tile, on);
  },
  h: () => {
    if ($("details").hidden) openDetails();
    toggleHeat();
  },
  n: () => turn(1),
  p: () => turn(-1),
  "?": () => $("help").showModal(),
  " ": () => pick(state.tiles[state.at], !state.tiles[state.at].box.checked),
  Enter: openDetails,
  Escape: closeDetails,
};

function toggleHeat() {
  if (!state.all.can.heat) return;
  state.heat = !state.heat;
  showHeat();
}

function turn(way) {
  if (way > 0 && $("next").disabled) return say("This is the last page.");
  if (way < 0 && $("previous").disabled) return say("This is the first page.");
  // What was decided is no longer among those that are asked for.
  const items = new Set(state.tiles.filter((tile) => !tile.picture.what).map((tile) => tile.item));
  const shown = $("open").checked ? items.size : state.list.items.length;
  return go({ first: Math.max(0, state.first + (way > 0 ? shown : -state.list.most)) }, true);
}

document.addEventListener("keydown", (event) => {
  const inList = event.target.closest(".tile, #details");
  if (!inList || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("button, input") && [" ", "Enter"].includes(event.key)) return;
  if (event.key.startsWith("Arrow")) {
    event.preventDefault();
    focusBeside(event.key);
  } else if (/^[1-9]$/.test(event.key)) {
    const button = $("chips").children[Number(event.key) - 1];
    if (button) button.click();
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

$("keep").onclick = () => choose("keep");
$("out").onclick = () => choose("out");
$("undo").onclick = undo;
$("move").onclick = moveToTyped;
$("move-to").onkeydown = (event) => {
  if (event.key === "Enter") moveToTyped();
  if (event.key === "Escape") focusTile(state.at);
};
$("category").onchange = () => go({ category: $("category").value, first: 0 });
$("open").onchange = () => go({ first: 0 });
$("previous").onclick = () => turn(-1);
$("next").onclick = () => turn(1);
$("details-close").onclick = closeDetails;
$("heat").onclick = toggleHeat;
$("help-open").onclick = () => $("help").showModal();
$("train-open").onclick = openTraining;
$("train-start").onclick = async () => {
  $("train-start").disabled = true;
  try {
    await ask("/api/training/start", {});
  } catch (error) {
    complain(error);
  }
  showTraining();
};
$("train-stop").onclick = async () => {
  await ask("/api/training/stop", {}).catch(complain);
  showTraining();
};
$("check").onclick = async () => {
  $("check").disabled = true;
  say("Looking for findings …");
  $("check").textContent = "Looking …";
  try {
    await ask("/api/check", {});
    await go({ first: 0 });
    say("Done.");
  } catch (error) {
    complain(error);
  }
  $("check").disabled = false;
  $("check").textContent = "Look for findings again";
};

const look = () => document.hidden || !state.all || refreshState().catch(complain);
if (channel) channel.onmessage = look;
document.addEventListener("visibilitychange", look);
setInterval(look, POLL);
const [, before = ""] = location.hash.match(/^#kind=(\w+)$/) || [];
go({ kind: before });
