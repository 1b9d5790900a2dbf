"use strict";

const MOST_BARS = 8;
const MOST_ANSWERS = 20;
const state = document.getElementById("state");
const answers = document.getElementById("answers");
const drop = document.getElementById("drop");

function tell(text, bad) {
  state.textContent = text;
  state.classList.toggle("bad", Boolean(bad));
}

async function ask(path, picture) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body: picture });
  } catch {
    throw new Error("The server does not answer.");
  }
  if (answer.ok) return answer;
  let reason = `The server answered ${answer.status}.`;
  try {
    reason = (await answer.json()).error || reason;
  } catch { /* the status says it */ }
  throw new Error(reason);
}

function percent(score) {
  return `${(100 * score).toFixed(1)} %`;
}

function bar({ label, score }) {
  const row = document.getElementById("bar").content.cloneNode(true);
  row.querySelector(".label").textContent = label;
  row.querySelector(".score").textContent = percent(score);
  row.querySelector(".share").style.width = `${100 * score}%`;
  return row;
}

async function showHeat(card, picture, label) {
  const button = card.querySelector(".where");
  const heat = card.querySelector(".heat");
  button.disabled = true;
  try {
    const answer = await ask(`/page/heat?category=${encodeURIComponent(label)}`, picture);
    heat.src = URL.createObjectURL(await answer.blob());
    heat.alt = `What speaks for ${label} is lit; the rest is grey.`;
    heat.hidden = false;
    button.textContent = "What speaks for it is lit";
  } catch (error) {
    button.textContent = error.message;
  }
}

async function keep(card, picture) {
  const kept = card.querySelector(".kept");
  const label = card.querySelector("select").value;
  try {
    await ask(`/page/correct?category=${encodeURIComponent(label)}`, picture);
    kept.textContent = `Kept as ${label}. The next training offers to learn from it.`;
    card.querySelector(".keep").disabled = true;
  } catch (error) {
    kept.textContent = error.message;
  }
}

function card(picture, found) {
  const card = document.getElementById("answer").content.cloneNode(true).querySelector("article");
  const best = found.scores[0];
  card.querySelector(".picture").src = URL.createObjectURL(picture);
  card.querySelector("h2").textContent = `${best.label}, ${percent(best.score)}`;
  if (found.familiar) {
    card.querySelector(".familiar").textContent = found.familiar;
    card.querySelector(".familiar").hidden = false;
  }
  card.querySelector(".bars").append(...found.scores.slice(0, MOST_BARS).map(bar));
  card.querySelector(".where").addEventListener("click", () => showHeat(card, picture, best.label));
  const wrong = card.querySelector(".wrong");
  if (document.body.dataset.correct === "yes") {
    card.querySelector("select").value = (found.scores[1] || best).label;
    card.querySelector(".keep").addEventListener("click", () => keep(card, picture));
  } else {
    wrong.remove();
  }
  return card;
}

async function guess(picture) {
  tell("Looking at it …");
  try {
    const found = await (await ask("/page/guess", picture)).json();
    const answer = card(picture, found);
    answers.prepend(answer);
    while (answers.children.length > MOST_ANSWERS) {
      for (const image of answers.lastElementChild.querySelectorAll("img[src]")) {
        URL.revokeObjectURL(image.src);
      }
      answers.lastElementChild.remove();
    }
    const best = found.scores[0];
    tell(`This is ${best.label}, with a score of ${percent(best.score)}. ${found.familiar}`);
  } catch (error) {
    tell(error.message, true);
  }
}

function take(files) {
  const picture = [...files].find((file) => file.size > 0);
  if (picture) guess(picture);
}

// Elsewhere `capture` would only open the same window as the other.
document.getElementById("camera").hidden = navigator.maxTouchPoints === 0;
for (const input of document.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", () => {
    take(input.files);
    input.value = "";
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take(event.dataTransfer.files);
});
